use proptest::prelude::*;

use super::*;

#[test]
fn numbers_and_what_is_none() {
    for (text, value) in
        [("0", 0), ("007", 7), ("18446744073709551615", u64::MAX), ("00000000000000000000001", 1)]
    {
        assert_eq!(number(text.as_bytes()), Some(value), "{text}");
    }
    for bad in
        ["", "-1", "+1", "1 ", "18446744073709551616", "1e3", "0x1", "99999999999999999999", "1/", "1:"]
    {
        assert_eq!(number(bad.as_bytes()), None, "{bad:?}");
    }
    assert_eq!(signed(b"-9223372036854775808"), Some(i64::MIN));
    for bad in ["", "-", "--1", "9223372036854775808", "-9223372036854775809"] {
        assert_eq!(signed(bad.as_bytes()), None, "{bad:?}");
    }
    assert_eq!((hex(b"fF"), hex(b""), hex(b"g"), hex(b"00000000000000001")), (Some(255), None, None, None));
    assert_eq!(
        (kib(b"12 kB"), kib(b"12"), kib(b"12 MB"), kib(b"18446744073709551615 kB")),
        (Some(12288), Some(12), None, None)
    );
}

#[test]
fn decimals() {
    assert_eq!((decimal(b"12.34"), decimal(b"7"), decimal(b"0.00")), (Some(12.34), Some(7.0), Some(0.0)));
    for bad in ["", ".", "1.", ".5", "1..2", "-1.0", "nan", "inf", "1e3", "123456789012345.67"] {
        assert_eq!(decimal(bad.as_bytes()), None, "{bad:?}");
    }
    assert_eq!(seconds(b"350735.47"), Some(Duration::from_millis(350_735_470)));
    assert_eq!(seconds(b"1.000000001"), Some(Duration::new(1, 1)));
    assert_eq!((seconds(b"1.0000000001"), seconds(b"99999999999999999999.1")), (None, None));
}

#[test]
fn a_line_without_its_end_is_told() {
    let told: Vec<_> =
        lines("x", b"a\n\nb").map(|line| line.map(|line| (line.text.to_vec(), line.number))).collect();
    let cut = Err(Malformed::Cut { what: "x", line: 3 });
    assert_eq!(told, [Ok((b"a".to_vec(), 1)), Ok((Vec::new(), 2)), cut]);
    assert_eq!(only_line("x", b""), Err(Malformed::Cut { what: "x", line: 1 }));
    assert_eq!(only_line("x", b"1\n2\n"), Err(Malformed::Line { what: "x", line: 2 }));
}

proptest! {
    #[test]
    fn numbers_come_back(value: u64, less: i64) {
        prop_assert_eq!(number(value.to_string().as_bytes()), Some(value));
        prop_assert_eq!(signed(less.to_string().as_bytes()), Some(less));
        prop_assert_eq!(hex(format!("{value:x}").as_bytes()), Some(value));
    }

    #[test]
    fn decimals_are_what_the_standard_library_says(whole in 0..9_999_999_999_u64, cents in 0..100_u32) {
        let text = format!("{whole}.{cents:02}");
        prop_assert_eq!(decimal(text.as_bytes()), text.parse().ok());
    }

    #[test]
    fn bytes_and_texts_are_found_where_they_are(bytes in prop::collection::vec(0..6_u8, 0..60), wanted in 0..7_u8) {
        prop_assert_eq!(find(&bytes, wanted), bytes.iter().position(|byte| *byte == wanted));
        let pair = [wanted, 1];
        prop_assert_eq!(find_text(&bytes, &pair), bytes.windows(2).position(|two| two == pair));
        prop_assert_eq!(rfind_text(&bytes, &pair), bytes.windows(2).rposition(|two| two == pair));
    }

    #[test]
    fn fields_are_what_the_standard_library_says(text in "[ab \t]{0,30}") {
        let found: Vec<_> = fields(text.as_bytes()).collect();
        let expected: Vec<_> = text.split_ascii_whitespace().map(str::as_bytes).collect();
        prop_assert_eq!(found, expected);
    }
}
