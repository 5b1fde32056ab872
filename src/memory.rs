//! How long the daemon holds on to memory that it has freed.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// mimalloc's option for how many milliseconds freed memory is kept.
const KEPT_FOR: &str = "MIMALLOC_PURGE_DELAY";

/// Has freed memory given back at once: between reconciles a daemon needs a fraction of what one
/// takes, and would hold the rest until the next.
///
/// The allocator reads its options from the environment before `main`, and to set one from here
/// would take `unsafe`. So the program starts once more, in the same process and before it has
/// done anything, unless whoever started it has set the option. Where it cannot be started again
/// it goes on, with more memory.
pub(crate) fn give_back_at_once() {
    if std::env::var_os(KEPT_FOR).is_some() {
        return;
    }
    let mut arguments = std::env::args_os();
    let (Ok(program), Some(name)) = (std::env::current_exe(), arguments.next()) else { return };
    let _ = Command::new(program).arg0(name).args(arguments).env(KEPT_FOR, "0").exec();
}
