//! Work on many values of one kind, shared among the cores.

use rayon::prelude::*;

/// Fewer values than this are worked on by the caller alone: others would save a few milliseconds,
/// and every thread has memory of its own.
const FEW: usize = 1024;
/// How many neighbours are worked on together at least.
const LOT: usize = 128;

/// The results for the values, in their order. A panic of one is a panic here.
pub(crate) fn in_parallel<T: Send, R: Send>(
    values: Vec<T>,
    one: impl Fn(T) -> R + Sync + Send,
) -> Vec<R> {
    if values.len() < FEW {
        return values.into_iter().map(one).collect();
    }
    values.into_par_iter().with_min_len(LOT).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_order() {
        for count in [0, 1, FEW - 1, FEW, FEW + 1, 10 * FEW + 7] {
            let doubled: Vec<_> = (0..count).map(|number| 2 * number).collect();
            assert_eq!(in_parallel((0..count).collect(), |number| 2 * number), doubled);
        }
    }

    #[test]
    #[should_panic(expected = "the odd one")]
    fn a_panic_is_passed_on() {
        in_parallel((0..10 * FEW).collect(), |number| assert!(number != 7 * FEW, "the odd one"));
    }
}
