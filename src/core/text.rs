//! Text that somebody else may have written, made safe to show: bounded, and without control characters.

/// Cuts a text to at most `max` characters, marking the cut, and replaces control characters (a tenant's label or field
/// manager must not move a cursor, break a log line or grow a status).
pub fn bounded(text: &str, max: usize) -> String {
    let mut out: String = text
        .chars()
        .take(max)
        .map(|c| if is_unprintable(c) { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(max).is_some() {
        out.pop();
        out.push('…');
    }
    out
}

fn is_unprintable(c: char) -> bool {
    // Besides control characters: marks that reorder or hide the text around them.
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_to_the_bound_and_says_so() {
        assert_eq!(bounded("abcdef", 6), "abcdef");
        assert_eq!(bounded("abcdefg", 6), "abcde…");
        assert_eq!(bounded(&"ü".repeat(100), 10).chars().count(), 10);
    }

    #[test]
    fn control_characters_do_not_get_through() {
        assert_eq!(bounded("a\u{1b}[31m\n\u{202e}b", 20), "a\u{fffd}[31m\u{fffd}\u{fffd}b");
    }
}
