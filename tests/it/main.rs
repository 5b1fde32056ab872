//! End to end: the binary, a sandbox over real HTTP, real git repositories.

mod world;

mod basics;
