//! Text from logs and stores, made fit to be shown.

/// A text in which nothing moves a terminal's cursor, changes a colour or turns
/// the direction of what stands beside it: such characters become U+FFFD.
pub fn printable(text: &str) -> String {
    // Besides control characters: those that turn the direction of the text, and
    // those that XML has no place for.
    let unfit = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            || matches!(c, '\u{fffe}' | '\u{ffff}')
    };
    text.chars()
        .map(|c| if unfit(c) { '\u{fffd}' } else { c })
        .collect()
}

/// Such a text in lines of at most `room` characters, broken at spaces; a word
/// that is longer goes on on the next line.
pub(crate) fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in printable(text).split(' ') {
        let mut word = word;
        loop {
            let used = line.chars().count();
            let space = usize::from(used > 0);
            if used + space + word.chars().count() <= room {
                if space == 1 {
                    line.push(' ');
                }
                line.push_str(word);
                break;
            }
            if used == 0 {
                let (cut, _) = word.char_indices().nth(room).unwrap_or((word.len(), ' '));
                line.push_str(&word[..cut]);
                word = &word[cut..];
            }
            lines.push(std::mem::take(&mut line));
        }
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_spaces_and_long_words_go_on() {
        assert_eq!(wrapped("a bc def", 4), ["a bc", "def"]);
        assert_eq!(wrapped("abcdefgh i", 3), ["abc", "def", "gh", "i"]);
        assert_eq!(wrapped("", 3), [""]);
    }

    #[test]
    fn what_would_steer_a_terminal_is_replaced() {
        assert_eq!(
            printable("a\u{1b}[2Jb\r\n\u{202e}\u{fffe}é"),
            "a\u{fffd}[2Jb\u{fffd}\u{fffd}\u{fffd}\u{fffd}é"
        );
    }
}
