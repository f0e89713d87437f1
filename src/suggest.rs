//! "Did you mean …?"

/// The candidate that `name` was probably meant to be, if one is near enough.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const NEAR_ENOUGH: f64 = 0.8;
    let name = name.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| {
            (
                strsim::jaro_winkler(&name, &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(similarity, _)| *similarity >= NEAR_ENOUGH)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let keys = ["filter", "path", "id_column"];
        assert_eq!(nearest("fliter", keys), Some("filter"));
        assert_eq!(nearest("id_colum", keys), Some("id_column"));
        assert_eq!(nearest("ID_COLUMN", keys), Some("id_column"));
        assert_eq!(nearest("threshold", keys), None);
    }
}
