//! The section `kubernetes`.

use super::*;

#[test]
fn a_lease_leaves_time_for_the_longest_call() {
    let kubernetes = |text: &str| parse(&target(text)).unwrap().kubernetes.unwrap();
    let plain = kubernetes("kubernetes:\n");
    assert_eq!((plain.lease, plain.state_in_secret), (Duration::from_secs(60), false));
    let full = kubernetes(
        "kubernetes: {lease: 90s, state: secret, namespace: gitops, service_account: sa, api: https://k:6443/}\n",
    );
    assert_eq!((full.lease, full.state_in_secret), (Duration::from_secs(90), true));
    assert_eq!(full.service_account, Path::new("/etc/gitops/sa"));
    assert_eq!(full.api.as_deref(), Some("https://k:6443"));
    assert_eq!(codes(&target("kubernetes: {lease: 59s}\n")), ["AG606"]);
    assert_eq!(codes(&target("    timeout: 40s\nkubernetes:\n")), ["AG606"]);
    for api in ["http://k:6443", "https://u:p@k", "k:6443", "ftp://127.0.0.1"] {
        assert_eq!(codes(&target(&format!("kubernetes: {{api: '{api}'}}\n"))), ["AG610"], "{api}");
    }
    assert!(codes(&target("kubernetes: {api: 'http://127.0.0.1:8001'}\n")).is_empty());
}
