//! Whatever an entry of a list holds, it is shown without panic and masking is idempotent.
#![no_main]

use apinizer_gitops::testing::catalog::{self, hidden};
use apinizer_gitops::testing::live::LiveConnection;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(serde_json::Value::Object(entry)) = serde_json::from_slice(bytes) else { return };
    let Some(live) = LiveConnection::from_entry(entry) else { return };
    let Some(connection_type) = catalog::find(&live.type_name) else { return };
    let masked = hidden::conceal(connection_type, live.body());
    assert_eq!(hidden::conceal(connection_type, &masked), masked);
});
