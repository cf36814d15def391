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

/// The same, bounded in bytes of UTF-8.
pub fn bounded_bytes(text: &str, max: usize) -> String {
    const CUT: char = '…';
    let mut out = bounded(text, max);
    if out.len() > max {
        while out.len() + CUT.len_utf8() > max && out.pop().is_some() {}
        out.push(CUT);
    }
    out
}

fn is_unprintable(c: char) -> bool {
    // Besides control characters: marks that reorder or hide the text around them, and tags that nobody sees.
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
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
        assert_eq!(bounded("\u{61c}\u{206a}\u{e0041}", 20), "\u{fffd}".repeat(3));
    }

    #[test]
    fn a_text_is_also_cut_to_a_number_of_bytes_and_between_characters() {
        assert_eq!(bounded_bytes("abcdef", 6), "abcdef");
        assert_eq!(bounded_bytes("abcdefg", 6), "abc…");
        assert_eq!(bounded_bytes("üüüü", 6), "ü…");
        assert!(bounded_bytes(&"\u{202e}".repeat(100), 50).len() <= 50);
    }
}
