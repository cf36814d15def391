//! Kubernetes quantities, compared by value.
//!
//! The notation is <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>. The API server
//! rounds amounts in resource lists up to thousandths and caps them at 2^63-1
//! (source: `SetDefaults_ResourceList` and `ParseQuantity` of Kubernetes); so does this module.

use std::fmt;

use crate::api::v1alpha1::Quantity;

/// Whether a resource is Kubernetes' own (source: `IsNativeResource`).
pub fn is_native(resource: &str) -> bool {
    !resource.contains('/') || resource.contains("kubernetes.io/")
}

/// Whether limits of a resource may be above its requests (source: `IsOvercommitAllowed` of Kubernetes).
pub fn overcommits(resource: &str) -> bool {
    is_native(resource) && !resource.starts_with("hugepages-")
}

/// A quantity's value in thousandths of its unit, rounded up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Milli(pub i128);

/// The largest amount that Kubernetes keeps, in thousandths.
const MAX: i128 = (i64::MAX as i128) * 1000;

/// A text that is no quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no quantity: write a number with an optional suffix, such as 10, 500m or 2Gi")]
pub struct NotAQuantity(pub String);

impl Milli {
    /// Reads a quantity.
    ///
    /// # Errors
    /// [`NotAQuantity`] when the text is not in Kubernetes' notation.
    pub fn parse(text: &str) -> Result<Self, NotAQuantity> {
        parse(text)
            .map(Self)
            .ok_or_else(|| NotAQuantity(text.chars().take(40).collect()))
    }

    /// Whether it is a whole number of its unit.
    pub fn is_whole(self) -> bool {
        self.0 % 1000 == 0
    }
}

impl TryFrom<&Quantity> for Milli {
    type Error = NotAQuantity;

    fn try_from(quantity: &Quantity) -> Result<Self, NotAQuantity> {
        Self::parse(&quantity.0)
    }
}

impl fmt::Display for Milli {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_whole() {
            write!(f, "{}", self.0 / 1000)
        } else {
            write!(f, "{}m", self.0)
        }
    }
}

fn parse(text: &str) -> Option<i128> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let end = rest
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let (factor, exponent) = scale(suffix)?;

    // The value is digits × factor × 10^(exponent - fraction's length); one more 1000 makes it thousandths.
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let exponent = exponent
        .checked_add(3)?
        .checked_sub(i64::try_from(fraction.len()).ok()?)?;
    let value = scaled(digits, factor, exponent);
    // Rounded away from zero, as the API server does, so a negative amount only changes its sign.
    Some(if negative { -value } else { value })
}

/// The binary factor and the decimal exponent that a suffix stands for.
fn scale(suffix: &str) -> Option<(i128, i64)> {
    Some(match suffix {
        "" => (1, 0),
        "n" => (1, -9),
        "u" => (1, -6),
        "m" => (1, -3),
        "k" => (1, 3),
        "M" => (1, 6),
        "G" => (1, 9),
        "T" => (1, 12),
        "P" => (1, 15),
        "E" => (1, 18),
        "Ki" => (1 << 10, 0),
        "Mi" => (1 << 20, 0),
        "Gi" => (1 << 30, 0),
        "Ti" => (1 << 40, 0),
        "Pi" => (1 << 50, 0),
        "Ei" => (1 << 60, 0),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?;
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            // An exponent beyond a machine word is beyond all amounts, one way or the other.
            (
                1,
                exponent
                    .parse::<i64>()
                    .unwrap_or(if exponent.starts_with('-') { -10_000 } else { 10_000 }),
            )
        }
    })
}

/// digits × factor × 10^exponent, rounded up, capped at [`MAX`].
fn scaled(digits: &str, factor: i128, exponent: i64) -> i128 {
    if digits.is_empty() {
        return 0;
    }
    let (kept, dropped) = digits.split_at(digits.len().min(25));
    let Ok(value) = kept.parse::<i128>() else { return MAX };
    let exponent = exponent.saturating_add(i64::try_from(dropped.len()).unwrap_or(i64::MAX));
    let inexact = dropped.bytes().any(|b| b != b'0');
    let places = u32::try_from(exponent.unsigned_abs()).unwrap_or(u32::MAX);
    let value = if exponent >= 0 {
        10_i128
            .checked_pow(places)
            .and_then(|p| value.checked_mul(p))
            .and_then(|v| v.checked_mul(factor))
    } else {
        // 10^n is 5^n × 2^n: the twos that the factor has too are left out, so that many digits of a small amount do not
        // overflow. What does then is beyond the cap, and a divisor that does is beyond all digits.
        let twos = factor.trailing_zeros().min(places);
        let divisor = 5_i128
            .checked_pow(places)
            .and_then(|p| p.checked_mul(2_i128.checked_pow(places - twos)?));
        match divisor {
            Some(p) => value
                .checked_mul(factor >> twos)
                .map(|v| v / p + i128::from(v % p != 0 || inexact)),
            None => Some(1),
        }
    };
    value.unwrap_or(MAX).min(MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn milli(text: &str) -> i128 {
        Milli::parse(text).unwrap().0
    }

    #[test]
    fn amounts_are_compared_by_value_and_not_by_spelling() {
        for (a, b) in [
            ("1", "1000m"),
            ("1Gi", "1024Mi"),
            ("0.5", "500m"),
            (".5", "500m"),
            ("1.", "1"),
            ("1e3", "1k"),
            ("1E3", "1000"),
            ("1E", "1000P"),
            ("+2", "2"),
            ("0.5Gi", "512Mi"),
            ("12e-1", "1200m"),
            ("0.0001", "1m"),
            ("1n", "1m"),
            ("9E", "9000P"),
            ("1500u", "2m"),
            ("2000u", "2m"),
            ("0.0015", "2m"),
            ("1G", "1000M"),
            ("1T", "1000G"),
            ("1Ki", "1024"),
            ("1Ti", "1024Gi"),
            ("1Pi", "1024Ti"),
            ("1Ei", "1024Pi"),
        ] {
            assert_eq!(milli(a), milli(b), "{a} and {b}");
        }
        assert!(milli("1M") < milli("1Mi"));
        assert!(milli("8E") < milli("9E"));
        assert_eq!(milli("-1"), -1000);
        assert_eq!(milli("0"), 0);
        assert_eq!(milli("0.000"), 0);
    }

    #[test]
    fn many_digits_are_no_large_amount() {
        for (text, amount) in [
            ("0.0000000000000000001234567890123456789012345Ei", "143m"),
            ("0.9999999999999999999999999Pi", "1Pi"),
            ("0.50000000000000000000000000000000000000000000000000", "500m"),
            ("0.50000000000000000000000000000000000000000000000001", "501m"),
            ("1e-60", "1m"),
        ] {
            assert_eq!(milli(text), milli(amount), "{text}");
        }
    }

    #[test]
    fn amounts_beyond_what_kubernetes_keeps_are_capped() {
        assert_eq!(milli("1e30"), MAX);
        assert_eq!(milli("9999999999999999999999999999999999999999999999"), MAX);
        assert_eq!(milli("8Ei"), MAX);
        assert_eq!(milli("1e-99999999999999999999"), 1);
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in [
            "", "-", "ten", "1 Gi", "1gi", "1..2", "1.2.3", "0x10", "1e", "1e+", "Gi", ".", "1KiB", "١",
        ] {
            assert!(Milli::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,60}") {
            let _ = Milli::parse(&text);
        }

        #[test]
        fn digits_with_any_suffix_never_panic(text in "[-+]?[0-9]{0,50}\\.?[0-9]{0,50}([eE][-+]?[0-9]{0,25}|[numkMGTPE]i?)?") {
            let _ = Milli::parse(&text);
        }

        #[test]
        fn what_is_displayed_reads_back_as_the_same_amount(value in 0_i64..i64::MAX) {
            let amount = Milli(i128::from(value));
            prop_assert_eq!(Milli::parse(&amount.to_string()).unwrap(), amount);
        }
    }
}
