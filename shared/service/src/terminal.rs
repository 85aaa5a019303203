//! Text that others wrote, fit for a terminal.

/// Nothing in it may move the cursor, change a colour or begin a line: what
/// would is replaced.
pub fn printable(text: &str) -> String {
    // Besides control characters: those that turn the direction of the text.
    let unfit = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
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
            printable("a\u{1b}[2Jb\r\n\u{202e}é"),
            "a\u{fffd}[2Jb\u{fffd}\u{fffd}\u{fffd}é"
        );
    }
}
