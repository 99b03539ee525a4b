//! Medians and percentiles.

/// The middle value; the lower one of two. 0 of nothing.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let at = values.len().saturating_sub(1) / 2;
    values.get(at).copied().unwrap_or(0.0)
}

/// The smallest value that `per_thousand` of the sorted values do not exceed. 0 of nothing.
pub fn percentile(sorted: &[u64], per_thousand: usize) -> u64 {
    let rank = (sorted.len() * per_thousand).div_ceil(1000);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_a_value_of_the_list() {
        let check = |values: &[f64], expected: f64| {
            assert_eq!(median(values.iter().copied()).total_cmp(&expected), 0.cmp(&0));
        };
        check(&[], 0.0);
        check(&[3.0, 1.0, 2.0], 2.0);
        check(&[4.0, 1.0, 3.0, 2.0], 2.0);
    }

    #[test]
    fn percentiles_are_ranks() {
        let values: Vec<u64> = (1..=1000).collect();
        let found = [500, 990, 999, 1000].map(|p| percentile(&values, p));
        assert_eq!(found, [500, 990, 999, 1000]);
        assert_eq!((percentile(&[7], 990), percentile(&[], 500)), (7, 0));
    }
}
