//! `demo`.
use super::args::DemoArgs; use super::context::Context; use super::error::CommandError;
pub(super) fn path_segment(s:&str)->String{s.to_owned()}
/// x
pub async fn run(_a:&DemoArgs,_c:&Context)->Result<u8,CommandError>{ Ok(0) }
