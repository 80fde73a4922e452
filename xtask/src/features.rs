//! The features a manifest declares.
//!
//! Not a TOML parser: it reads the one table whose shape this project controls, and the tests say which shapes those
//! are.

use crate::steps::{Failure, root};

/// Names of the `[features]` table of `manifest`, a path from the workspace's root.
pub(crate) fn declared_in(manifest: &str) -> Result<Vec<String>, Failure> {
    let path = root().join(manifest);
    let text =
        std::fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Ok(declared(&text))
}

fn declared(manifest: &str) -> Vec<String> {
    manifest
        .lines()
        .map(str::trim)
        .skip_while(|line| *line != "[features]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.trim().trim_matches('"'))
        .filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::declared;

    #[test]
    fn names_come_from_the_features_table_only() {
        let manifest = r#"
[package]
name = "larder"

[features]
default = ["one"]
# A comment with an = sign.
one = []
two-words = [
    "dep:something",
    "one/of-it",
]
"quoted" = []

[dependencies]
other = "1"
"#;
        assert_eq!(declared(manifest), ["default", "one", "two-words", "quoted"]);
    }

    #[test]
    fn a_manifest_without_features_has_none() {
        assert_eq!(declared("[package]\nname = \"x\"\n"), Vec::<String>::new());
    }
}
