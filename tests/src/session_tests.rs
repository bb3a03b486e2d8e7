//! The macro that makes one test of a session into one for each topology and mode.

/// Lists the session tests of a file. Each is a function of that name that takes a [`Plan`](crate::Plan), and becomes
/// a test for each topology, by splicing and by copying: `cargo test NAME` runs them all,
/// `cargo test NAME::both_nodes::by_splicing` one. A keyed link is not spliced, and has one test each.
///
/// - `everywhere`: through every topology.
/// - `side_by_side`: not with socat outside. It forks for each client, and its children compete for the one link port.
/// - `ours`: only if every program on the way is ours. socat passes on neither a reset nor a refusal.
///
/// ```no_run
/// use relay_tests::{Plan, Server, session_tests};
///
/// session_tests! {
///     everywhere:
///         the_server_may_send_first;
/// }
///
/// fn the_server_may_send_first(plan: Plan) {
///     let server = Server::start();
///     let client = plan.to(&server).dial();
///     server.accept().send(b"220 ready");
///     client.expect(b"220 ready");
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! session_tests {
    ($($group:ident: $($name:ident),+;)+) => {
        $($($crate::session_tests! { @$group $name })+)+
    };
    (@everywhere $name:ident) => {
        $crate::session_tests! { @through $name keyed
            tcpfwd Tcpfwd, both_nodes BothNodes, both_nodes_raw BothNodesRaw,
            socat_inside SocatInside, socat_outside SocatOutside
        }
    };
    (@side_by_side $name:ident) => {
        $crate::session_tests! { @through $name keyed
            tcpfwd Tcpfwd, both_nodes BothNodes, both_nodes_raw BothNodesRaw, socat_inside SocatInside
        }
    };
    (@ours $name:ident) => {
        $crate::session_tests! { @through $name keyed
            tcpfwd Tcpfwd, both_nodes BothNodes, both_nodes_raw BothNodesRaw
        }
    };
    (@through $name:ident keyed $($way:ident $topology:ident),+) => {
        mod $name {
            mod keyed {
                use $crate::plan::{Mode, Topology, run};

                #[test]
                fn both_nodes() {
                    run(Topology::BothNodesKeyed, Mode::Splice, super::super::$name);
                }

                #[test]
                fn both_nodes_raw() {
                    run(Topology::BothNodesRawKeyed, Mode::Splice, super::super::$name);
                }
            }

            $(mod $way {
                use $crate::plan::{Mode, Topology, run};

                #[test]
                fn by_splicing() {
                    run(Topology::$topology, Mode::Splice, super::super::$name);
                }

                #[test]
                fn by_copying() {
                    run(Topology::$topology, Mode::Copy, super::super::$name);
                }
            })+
        }
    };
}
