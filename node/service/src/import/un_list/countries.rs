//! The names of countries as the consolidated list writes them, to ISO 3166-1 alpha-2.

use std::collections::HashMap;
use std::sync::LazyLock;

/// `CODE<tab>name`, one a line: the United Nations' names (M49) and the older ones that the list still has.
static TABLE: &str = include_str!("../data/un_countries.tsv");

static BY_NAME: LazyLock<HashMap<String, &'static str>> = LazyLock::new(|| {
    let rows = TABLE.lines().filter_map(|line| line.split_once('\t'));
    rows.map(|(code, name)| (name.to_lowercase(), code)).collect()
});

/// The code of a country, `None` if its name is not in the table (a state that is no more, for one).
pub(super) fn alpha2(name: &str) -> Option<&'static str> {
    BY_NAME.get(&name.trim().to_lowercase()).copied()
}

/// The list writes "na" where it has nothing to say.
pub(super) fn is_blank(text: &str) -> bool {
    matches!(text.trim().to_ascii_lowercase().as_str(), "" | "na" | "n/a" | "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_a_code_and_a_name_that_occurs_once() {
        for line in TABLE.lines() {
            let (code, name) = line.split_once('\t').unwrap();
            assert!(code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase()), "{line}");
            assert_eq!(name.trim(), name);
        }
        assert_eq!(BY_NAME.len(), TABLE.lines().count());
    }

    #[test]
    fn the_names_of_the_neighbours_are_known_in_any_case() {
        for (name, code) in [
            ("Viet Nam", "VN"),
            ("LAO PEOPLE'S DEMOCRATIC REPUBLIC", "LA"),
            ("Brunei Darussalam", "BN"),
            ("Timor-Leste", "TL"),
            ("Türkiye", "TR"),
            ("Turkey", "TR"),
        ] {
            assert_eq!(alpha2(name), Some(code));
        }
        assert_eq!(alpha2("former Soviet Union"), None);
    }
}
