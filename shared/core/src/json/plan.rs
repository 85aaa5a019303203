//! What reading a value found: where its canonical bytes differ from the input.

use super::member::Member;

/// How the canonical bytes of a value are made from the input.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Where the value stands in the input.
    pub start: usize,
    pub end: usize,
    /// What is not canonical, by its place in the input.
    pub edits: Vec<Edit>,
    /// The members of all open objects, innermost last; at the end the root's.
    pub members: Vec<Member>,
    /// The members of the objects that are reordered, each object's in order.
    pub sorted: Vec<Member>,
    /// What edits put in place of the input's spelling, and names so spelt.
    pub text: Vec<u8>,
}

/// A place where the canonical bytes differ from the input.
#[derive(Debug, Clone, Copy)]
pub(super) enum Edit {
    /// `at..end` of the input becomes `from..to` of the plan's text.
    Text {
        at: usize,
        end: usize,
        from: usize,
        to: usize,
    },
    /// The inside of an object, `at..end`, becomes its members in order: `count` of
    /// `sorted` from `first` on. The first edit after the object is `next`.
    Order {
        at: usize,
        end: usize,
        first: usize,
        count: usize,
        next: usize,
    },
    /// The object whose inside begins at `at` is in order.
    Ordered { at: usize },
}

impl Edit {
    fn at(&self) -> usize {
        match *self {
            Self::Text { at, .. } | Self::Order { at, .. } | Self::Ordered { at } => at,
        }
    }
}

impl Plan {
    /// Forgets the last value, and keeps the buffers.
    pub(super) fn clear(&mut self) {
        self.edits.clear();
        self.members.clear();
        self.sorted.clear();
        self.text.clear();
    }

    pub(super) fn spelling<'a>(&self, input: &'a [u8]) -> &'a [u8] {
        &input[self.start..self.end]
    }

    pub(super) fn is_canonical(&self) -> bool {
        self.edits.is_empty()
    }

    /// The members of the value, in order, if it is an object.
    pub(super) fn root_members(&self, input: &[u8]) -> &[Member] {
        match (input.get(self.start), self.edits.first()) {
            (Some(b'{'), Some(&Edit::Order { at, first, .. })) if at == self.start + 1 => {
                &self.sorted[first..]
            }
            (Some(b'{'), _) => &self.members,
            _ => &[],
        }
    }

    /// Appends the value's canonical bytes.
    pub(super) fn push_to(&self, input: &[u8], out: &mut Vec<u8>) {
        out.reserve(self.end - self.start + self.text.len());
        self.push_range(input, self.start, self.end, 0, out);
    }

    /// Appends the canonical bytes of `from..to` of the input, whose first edit is
    /// not before `edit`. Recursion is as deep as objects are open, which is bounded.
    pub(super) fn push_range(
        &self,
        input: &[u8],
        mut from: usize,
        to: usize,
        mut edit: usize,
        out: &mut Vec<u8>,
    ) {
        while let Some(next) = self.edits.get(edit).filter(|next| next.at() < to) {
            edit += 1;
            match *next {
                Edit::Ordered { .. } => {}
                Edit::Text {
                    at,
                    end,
                    from: text,
                    to,
                } => {
                    out.extend_from_slice(&input[from..at]);
                    out.extend_from_slice(&self.text[text..to]);
                    from = end;
                }
                Edit::Order {
                    at,
                    end,
                    first,
                    count,
                    next,
                } => {
                    out.extend_from_slice(&input[from..at]);
                    self.push_members(input, &self.sorted[first..first + count], out);
                    from = end;
                    edit = next;
                }
            }
        }
        out.extend_from_slice(&input[from..to]);
    }

    fn push_members(&self, input: &[u8], members: &[Member], out: &mut Vec<u8>) {
        let mut rest = members;
        while let Some((first, others)) = rest.split_first() {
            if rest.len() < members.len() {
                out.push(b',');
            }
            // Members that follow each other in the input as well are one copy.
            let mut last = first;
            rest = others;
            while let Some((next, others)) = rest.split_first()
                && next.start == last.end + 1
            {
                last = next;
                rest = others;
            }
            self.push_range(input, first.start, last.end, first.edit, out);
        }
    }
}
