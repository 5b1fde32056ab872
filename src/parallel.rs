//! Work on many values of one kind, shared among the cores.

use std::panic::resume_unwind;
use std::thread;

use rayon::prelude::*;

/// Fewer values than this are worked on by the caller alone: others would save a few milliseconds,
/// and every thread has memory of its own.
const FEW: usize = 1024;
/// How many neighbours are worked on together.
const LOT: usize = 128;

/// What becomes of each value, in their order. A panic of one is a panic here.
pub(crate) fn map<T: Send, R: Send>(values: Vec<T>, one: impl Fn(T) -> R + Sync + Send) -> Vec<R> {
    if values.len() < FEW {
        return values.into_iter().map(one).collect();
    }
    values.into_par_iter().with_min_len(LOT).map(one).collect()
}

/// What becomes of the values, taken in lots of neighbours: for work that shares something among
/// neighbours.
pub(crate) fn map_lots<T: Send, R: Send>(
    values: Vec<T>,
    work: impl Fn(Vec<T>) -> Vec<R> + Sync + Send,
) -> Vec<R> {
    if values.len() < FEW {
        return work(values);
    }
    let lots: Vec<Vec<R>> = values.into_par_iter().chunks(LOT).map(work).collect();
    lots.into_iter().flatten().collect()
}

/// Does one thing beside another where they are about many values, and else before it; a panic of
/// either is a panic here.
pub(crate) fn both<A: Send, B>(
    values: usize,
    beside: impl FnOnce() -> A + Send,
    here: impl FnOnce() -> B,
) -> (A, B) {
    if values < FEW {
        return (beside(), here());
    }
    thread::scope(|scope| {
        let beside = scope.spawn(beside);
        let here = here();
        (beside.join().unwrap_or_else(|panic| resume_unwind(panic)), here)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_order() {
        for count in [0, 1, FEW - 1, FEW, FEW + 1, 10 * FEW + 7] {
            let doubled: Vec<_> = (0..count).map(|number| 2 * number).collect();
            assert_eq!(map((0..count).collect(), |number| 2 * number), doubled);
            let lots = map_lots((0..count).collect(), |lot: Vec<usize>| {
                lot.into_iter().map(|number| 2 * number).collect()
            });
            assert_eq!(lots, doubled);
        }
        assert_eq!(both(0, || 1, || 2), (1, 2));
        assert_eq!(both(FEW, || 1, || 2), (1, 2));
    }

    #[test]
    #[should_panic(expected = "the odd one")]
    fn a_panic_is_passed_on() {
        map((0..10 * FEW).collect(), |number| assert!(number != 7 * FEW, "the odd one"));
    }
}
