//! The pass that reads a value and finds what is not canonical in it.

use std::cmp::Ordering;

use super::member::{Member, Name};
use super::plan::{Edit, Plan};
use super::{JsonError, Reason, lex, number, push_char};

/// What is wrong, and where.
type Problem = (usize, Reason);

/// Reads one value after the other, keeping its buffers.
#[derive(Debug)]
pub(super) struct Reader {
    round_numbers: bool,
    max_depth: usize,
    open: Vec<Open>,
    /// Where members are put in order: the beginnings of their names, and which.
    keys: Vec<(u64, u32)>,
    /// Of the value that was read last.
    pub plan: Plan,
}

/// An open array or object.
#[derive(Debug, Clone, Copy)]
struct Open {
    object: bool,
    /// The members so far are in order and distinct.
    ordered: bool,
    /// Its first member in the plan's members.
    first_member: usize,
    /// Its own edit.
    edit: usize,
    /// Where its bracket stands.
    at: usize,
}

impl Reader {
    pub(super) fn new(round_numbers: bool, max_depth: usize) -> Self {
        Self {
            round_numbers,
            max_depth,
            open: Vec::new(),
            keys: Vec::new(),
            plan: Plan::default(),
        }
    }

    /// Reads an input that is one value and white space.
    pub(super) fn read(&mut self, input: &[u8]) -> Result<(), JsonError> {
        let end = self.read_prefix(input)?;
        let rest = lex::skip_space(input, end);
        if rest < input.len() {
            return Err((rest, Reason::TrailingBytes).into());
        }
        Ok(())
    }

    /// Reads the value that the input begins with, and returns where it ends.
    pub(super) fn read_prefix(&mut self, input: &[u8]) -> Result<usize, Problem> {
        self.open.clear();
        self.plan.clear();
        self.plan.start = lex::skip_space(input, 0);
        self.plan.end = self.value(input, self.plan.start)?;
        Ok(self.plan.end)
    }

    fn value(&mut self, input: &[u8], mut at: usize) -> Result<usize, Problem> {
        loop {
            // A value begins at `at`.
            let Some(&byte) = input.get(at) else {
                return Err((at, Reason::UnexpectedEnd));
            };
            match byte {
                b'"' => (at, _) = self.string(input, at)?,
                b'-' | b'0'..=b'9' => at = self.number(input, at)?,
                b'{' | b'[' => {
                    let object = byte == b'{';
                    if self.open.len() == self.max_depth {
                        return Err((at, Reason::TooDeep));
                    }
                    self.open(object, at);
                    at = self.space(input, at + 1);
                    match input.get(at) {
                        Some(b'}') if object => self.close_object(input, at)?,
                        Some(b']') if !object => self.close_array(),
                        _ => {
                            if object {
                                at = self.name(input, at)?;
                            }
                            continue;
                        }
                    }
                    at += 1;
                }
                _ => at += lex::word(input, at)?,
            }
            // A value ended at `at`: close what closes.
            loop {
                let Some(open) = self.open.last() else {
                    return Ok(at);
                };
                let object = open.object;
                if object && let Some(member) = self.plan.members.last_mut() {
                    member.end = at;
                }
                at = self.space(input, at);
                match input.get(at) {
                    Some(b',') => {
                        at = self.space(input, at + 1);
                        if object {
                            at = self.name(input, at)?;
                        }
                        break;
                    }
                    Some(b'}') if object => self.close_object(input, at)?,
                    Some(b']') if !object => self.close_array(),
                    Some(_) => return Err((at, Reason::UnexpectedByte)),
                    None => return Err((at, Reason::UnexpectedEnd)),
                }
                at += 1;
            }
        }
    }

    #[inline(always)]
    fn open(&mut self, object: bool, at: usize) {
        self.open.push(Open {
            object,
            ordered: true,
            first_member: self.plan.members.len(),
            edit: self.plan.edits.len(),
            at,
        });
        if object {
            // Its place among the edits, should its members need to be put in order.
            self.plan.edits.push(Edit::Ordered { at: at + 1 });
        }
    }

    /// Passes over white space, which no canonical form has.
    #[inline(always)]
    fn space(&mut self, input: &[u8], at: usize) -> usize {
        match input.get(at) {
            Some(b' ' | b'\n' | b'\r' | b'\t') => self.remove_space(input, at),
            _ => at,
        }
    }

    #[cold]
    fn remove_space(&mut self, input: &[u8], at: usize) -> usize {
        let end = lex::skip_space(input, at);
        let text = self.plan.text.len();
        self.edit(at, end, text);
        end
    }

    /// `at..end` becomes what the plan's text holds from `from` on.
    fn edit(&mut self, at: usize, end: usize, from: usize) {
        let to = self.plan.text.len();
        self.plan.edits.push(Edit::Text { at, end, from, to });
    }

    /// A member's name and its colon; returns where the value begins.
    #[inline(always)]
    fn name(&mut self, input: &[u8], at: usize) -> Result<usize, Problem> {
        match input.get(at) {
            Some(b'"') => {}
            Some(_) => return Err((at, Reason::UnexpectedByte)),
            None => return Err((at, Reason::UnexpectedEnd)),
        }
        let edit = self.plan.edits.len();
        let (end, plain) = self.string(input, at)?;
        let inside = (at + 1, end - 1);
        let name = if plain || edit == self.plan.edits.len() {
            Name::in_input(input, inside, plain)
        } else {
            self.respelt(input, inside, edit)
        };
        let colon = self.space(input, end);
        match input.get(colon) {
            Some(b':') => {}
            Some(_) => return Err((colon, Reason::UnexpectedByte)),
            None => return Err((colon, Reason::UnexpectedEnd)),
        }
        let plan = &mut self.plan;
        if let Some(open) = self.open.last_mut()
            && open.ordered
            && let Some(last) = plan.members[open.first_member..].last()
        {
            // The beginnings tell nearly always.
            let (before, after) = (last.name.prefix(), name.prefix());
            open.ordered = if last.name.is_plain() && plain && before != after {
                before < after
            } else {
                last.name.compare(&{ name }, input, &plan.text) == Ordering::Less
            };
        }
        let value = self.space(input, colon + 1);
        self.plan.members.push(Member {
            start: at,
            name,
            value,
            end: value,
            edit,
        });
        Ok(value)
    }

    /// A name that is compared as it will be spelt.
    #[cold]
    fn respelt(&mut self, input: &[u8], (from, to): (usize, usize), edit: usize) -> Name {
        let mut name = Vec::new();
        self.plan.push_range(input, from, to, edit, &mut name);
        let at = self.plan.text.len();
        self.plan.text.extend_from_slice(&name);
        Name::in_text(&self.plan.text, at)
    }

    /// A string, from its quote at `at`; returns where it ends and whether it is
    /// ASCII without escapes.
    #[inline(always)]
    fn string(&mut self, input: &[u8], at: usize) -> Result<(usize, bool), Problem> {
        let run = lex::plain_run(input, at + 1);
        if run.ascii && input.get(run.end) == Some(&b'"') {
            return Ok((run.end + 1, true));
        }
        let end = self.string_slowly(input, at + 1)?;
        Ok((end, false))
    }

    /// The rest of a string from `from` on, escapes and other than ASCII included;
    /// returns where it ends.
    fn string_slowly(&mut self, input: &[u8], mut from: usize) -> Result<usize, Problem> {
        loop {
            let run = lex::plain_run(input, from);
            lex::check_utf8(input, from, &run)?;
            match input.get(run.end) {
                Some(b'"') => return Ok(run.end + 1),
                Some(b'\\') => from = self.escape(input, run.end)?,
                Some(_) => return Err((run.end, Reason::ControlCharacter)),
                None => return Err((run.end, Reason::UnexpectedEnd)),
            }
        }
    }

    fn escape(&mut self, input: &[u8], at: usize) -> Result<usize, Problem> {
        // The two that real input is full of are their own canonical spelling.
        if let Some(b'"' | b'\\') = input.get(at + 1) {
            return Ok(at + 2);
        }
        let (escape, end) = lex::escape(input, at)?;
        let lex::Escape::Char(char) = escape else {
            return Err((at, Reason::LoneSurrogate));
        };
        let text = self.plan.text.len();
        push_char(char, &mut self.plan.text);
        if self.plan.text[text..] == input[at..end] {
            self.plan.text.truncate(text);
        } else {
            self.edit(at, end, text);
        }
        Ok(end)
    }

    #[inline(always)]
    fn number(&mut self, input: &[u8], at: usize) -> Result<usize, Problem> {
        let literal = lex::number(input, at)?;
        // An integer below 10^15 is its own canonical spelling, but for minus zero.
        if literal.end == literal.int_end
            && literal.end - at <= 15
            && &input[at..literal.end] != b"-0"
        {
            return Ok(literal.end);
        }
        self.number_slowly(input, at, &literal)
    }

    fn number_slowly(
        &mut self,
        input: &[u8],
        at: usize,
        literal: &lex::Literal,
    ) -> Result<usize, Problem> {
        let push = if self.round_numbers {
            number::push_rounded
        } else {
            number::push_exact
        };
        let text = self.plan.text.len();
        push(input, at, literal, &mut self.plan.text).map_err(|reason| (at, reason))?;
        if self.plan.text[text..] == input[at..literal.end] {
            self.plan.text.truncate(text);
        } else {
            self.edit(at, literal.end, text);
        }
        Ok(literal.end)
    }

    #[inline(always)]
    fn close_array(&mut self) {
        self.open.pop();
    }

    /// Closes the innermost object, whose bracket stands at `end`.
    #[inline(always)]
    fn close_object(&mut self, input: &[u8], end: usize) -> Result<(), Problem> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        if !open.ordered {
            self.order(input, &open, end)?;
        } else if open.edit + 1 == self.plan.edits.len() {
            self.plan.edits.pop();
        }
        // The root's members stay, for `member`.
        if !self.open.is_empty() {
            self.plan.members.truncate(open.first_member);
        }
        Ok(())
    }

    /// Puts the members of an object in order.
    fn order(&mut self, input: &[u8], open: &Open, end: usize) -> Result<(), Problem> {
        let Plan {
            edits,
            members,
            sorted,
            text,
            ..
        } = &mut self.plan;
        let members = &members[open.first_member..];
        self.keys.clear();
        let prefixes = members.iter().map(|member| member.name.prefix());
        self.keys.extend(prefixes.zip(0u32..));
        let name = |key: &(u64, u32)| &members[key.1 as usize].name;
        let compare = |a: &_, b: &_| name(a).compare(name(b), input, text);
        if members.iter().all(|member| member.name.is_plain()) {
            self.keys
                .sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| compare(a, b)));
        } else {
            self.keys.sort_unstable_by(compare);
        }
        let same = |pair: &[(u64, u32)]| {
            pair[0].0 == pair[1].0 && compare(&pair[0], &pair[1]) == Ordering::Equal
        };
        if self.keys.windows(2).any(same) {
            return Err((open.at, Reason::DuplicateName));
        }
        let first = sorted.len();
        sorted.extend(self.keys.iter().map(|key| members[key.1 as usize]));
        edits[open.edit] = Edit::Order {
            at: open.at + 1,
            end,
            first,
            count: members.len(),
            next: edits.len(),
        };
        Ok(())
    }
}
