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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_steer_a_terminal_is_replaced() {
        assert_eq!(
            printable("a\u{1b}[2Jb\r\n\u{202e}\u{fffe}é"),
            "a\u{fffd}[2Jb\u{fffd}\u{fffd}\u{fffd}\u{fffd}é"
        );
    }
}
