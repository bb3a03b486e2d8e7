//! Keyed links: TLS 1.3 by rustls, with one shared secret as the only configuration.
//!
//! Both nodes derive an Ed25519 key for each role from the secret. Each node presents the key of its own role as a raw public key (RFC
//! 7250), and accepts only the key of the other role. There are no tickets and no resumption, because they would skip the check. There
//! is no name, date or certificate that could be wrong.
//!
//! To change the secret, put both secrets into the file: both are accepted, and the first one is used. A link keeps what it has proved
//! ([`Proof`]), so a node can close links whose secret is no longer in the file.

mod buffers;
mod channel;
mod fault;
mod file;
mod identity;
mod records;
mod verifier;

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use std::{fmt, io};

pub use channel::{Channel, Wire};
pub use fault::{Fault, link_fault};
pub use file::{KeyError, KeyFile};
pub use identity::{Proof, Role};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption, UnbufferedClientConnection};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::ServerName;
use rustls::server::{
    AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage, UnbufferedServerConnection,
};
use rustls::version::TLS13;
use rustls::{ClientConfig, ServerConfig};

use self::identity::{Identity, identity};
use self::verifier::OnlyThese;
use crate::limits::HANDSHAKES_PER_TURN;
use crate::report::Report;

/// What is spoken inside the channel: a node that frames its links does not understand one that does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inner {
    /// Frames.
    Frames,
    /// The bytes of one session (`--raw`).
    Raw,
}

/// The keys of a node.
pub struct Keys {
    role: Role,
    inner: Inner,
    file: KeyFile,
    config: Config,
    /// What the other node may prove, in the order of the file.
    accepted: Vec<Proof>,
    /// How many handshakes went on in the last turn that had some, and when that was.
    handshakes: (usize, Option<Instant>),
}

enum Config {
    Outside(Arc<ServerConfig>),
    Inside(Arc<ClientConfig>),
}

impl Keys {
    /// Derives the keys of a node from what was read.
    pub fn new(role: Role, inner: Inner, file: KeyFile) -> Result<Self, KeyError> {
        Self::by(provider(), role, inner, file)
    }

    fn by(
        provider: CryptoProvider,
        role: Role,
        inner: Inner,
        file: KeyFile,
    ) -> Result<Self, KeyError> {
        let (config, accepted) = derive(provider, role, inner, &file)
            .map_err(|error| KeyError::underivable(file.path(), error.to_string()))?;
        Ok(Self {
            role,
            inner,
            file: file.without_secrets(),
            config,
            accepted,
            handshakes: (0, None),
        })
    }

    /// The file as it is now. On failure the keys stay as they are.
    pub fn read_again(&mut self) -> Result<(), KeyError> {
        *self = Self::new(self.role, self.inner, KeyFile::read(self.file.path())?)?;
        Ok(())
    }

    /// Reads the file again, and tells what came of it.
    pub fn reload(&mut self, report: &Report) {
        match self.read_again() {
            Ok(()) => report.info(format_args!(
                "the key file {} was read again",
                self.path().display()
            )),
            Err(error) => report.warning(error),
        }
    }

    /// Where they came from.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Whether a link that proved this is still welcome.
    pub fn accepts(&self, proof: Option<Proof>) -> bool {
        proof.is_some_and(|proof| self.accepted.contains(&proof))
    }

    /// Whether one more handshake may go on in the turn of that time. A crowd of links that come at once, or of strangers, is
    /// spread over many turns, so that sessions do not wait for it.
    pub fn admit_handshake(&mut self, now: Instant) -> bool {
        let (count, turn) = &mut self.handshakes;
        if turn.replace(now) != Some(now) {
            *count = 0;
        }
        *count += 1;
        *count <= HANDSHAKES_PER_TURN
    }

    /// Returns a channel for one link. The inside node is the TLS client, even if it was dialled.
    pub fn channel(&self) -> io::Result<Channel> {
        let channel = match &self.config {
            Config::Outside(config) => {
                UnbufferedServerConnection::new(config.clone()).map(Channel::server)
            }
            Config::Inside(config) => {
                // It is neither sent nor looked at.
                let name = ServerName::IpAddress(Ipv4Addr::LOCALHOST.into());
                UnbufferedClientConnection::new(config.clone(), name).map(Channel::client)
            }
        };
        channel.map_err(io::Error::other)
    }
}

/// Says where the keys came from, and nothing of them.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("role", &self.role)
            .field("path", &self.file.path())
            .finish_non_exhaustive()
    }
}

fn derive(
    provider: CryptoProvider,
    role: Role,
    inner: Inner,
    file: &KeyFile,
) -> Result<(Config, Vec<Proof>), rustls::Error> {
    let mut own = Vec::new();
    let mut others = Vec::new();
    for secret in file.secrets() {
        own.push(identity(role, secret)?);
        others.push(identity(role.other(), secret)?);
    }
    let Some(Identity { certified, .. }) = own.into_iter().next() else {
        return Err(rustls::Error::General("no key".to_owned()));
    };
    let accepted: Vec<Proof> = others.iter().map(|other| other.proof).collect();
    let verifier = Arc::new(OnlyThese::new(accepted.clone()));
    let provider = Arc::new(provider);
    let config = match role {
        Role::Outside => {
            let mut config = ServerConfig::builder_with_provider(provider)
                .with_protocol_versions(&[&TLS13])?
                .with_client_cert_verifier(verifier)
                .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(certified)));
            config.send_tls13_tickets = 0;
            config.session_storage = Arc::new(NoServerSessionStorage {});
            // Who cannot do AES in hardware decides; the inside node says by its order that it can.
            config.ignore_client_order = !has_fast_aes();
            config.alpn_protocols = vec![inner.protocol().to_vec()];
            Config::Outside(Arc::new(config))
        }
        Role::Inside => {
            let mut config = ClientConfig::builder_with_provider(provider)
                .with_protocol_versions(&[&TLS13])?
                .dangerous()
                .with_custom_certificate_verifier(verifier)
                .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(
                    certified,
                )));
            config.resumption = Resumption::disabled();
            config.enable_sni = false;
            config.alpn_protocols = vec![inner.protocol().to_vec()];
            Config::Inside(Arc::new(config))
        }
    };
    Ok((config, accepted))
}

impl Inner {
    /// The name in ALPN (RFC 7301).
    fn protocol(self) -> &'static [u8] {
        match self {
            Self::Frames => b"relay-link/1",
            Self::Raw => b"relay-raw/1",
        }
    }
}

/// One way of key exchange, which outlives the quantum computer that somebody may one day hold against what they recorded; one way
/// of signing; and two ciphers, the faster one first.
fn provider() -> CryptoProvider {
    use aws_lc_rs::cipher_suite::{TLS13_AES_128_GCM_SHA256, TLS13_CHACHA20_POLY1305_SHA256};
    let mut cipher_suites = vec![TLS13_AES_128_GCM_SHA256, TLS13_CHACHA20_POLY1305_SHA256];
    if !has_fast_aes() {
        cipher_suites.reverse();
    }
    CryptoProvider {
        cipher_suites,
        kx_groups: vec![aws_lc_rs::kx_group::X25519MLKEM768],
        ..aws_lc_rs::default_provider()
    }
}

/// The processor has instructions for AES and for GCM.
fn has_fast_aes() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("aes") && is_x86_feature_detected!("pclmulqdq");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes")
        && std::arch::is_aarch64_feature_detected!("pmull");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;
    use std::rc::Rc;

    use rustls::crypto::CipherSuiteCommon;
    use rustls::{SupportedCipherSuite, Tls13CipherSuite};

    use super::*;

    type Lane = Rc<RefCell<VecDeque<u8>>>;

    struct End {
        from: Lane,
        to: Lane,
    }

    impl Wire for End {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match io::Read::read(&mut *self.from.borrow_mut(), buffer)? {
                0 => Err(io::ErrorKind::WouldBlock.into()),
                count => Ok(count),
            }
        }

        fn write(&mut self, bytes: &[u8], _: bool) -> io::Result<usize> {
            self.to.borrow_mut().extend(bytes);
            Ok(bytes.len())
        }
    }

    /// As if the cipher were safe for eight records only, and not for 2^24 of them.
    fn short_lived() -> CryptoProvider {
        let suite = aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256
            .tls13()
            .unwrap();
        let suite = Box::leak(Box::new(Tls13CipherSuite {
            common: CipherSuiteCommon {
                confidentiality_limit: 8,
                ..suite.common
            },
            ..*suite
        }));
        CryptoProvider {
            cipher_suites: vec![SupportedCipherSuite::Tls13(suite)],
            ..provider()
        }
    }

    /// A link of two nodes, the outside one first, behind the handshake.
    fn proven(provider: fn() -> CryptoProvider) -> [(Channel, End); 2] {
        let (left, right) = (Lane::default(), Lane::default());
        let node = |role, from: &Lane, to: &Lane| {
            let file = KeyFile::with_text(Path::new("link.key"), &[b'A'; 43]).unwrap();
            let keys = Keys::by(provider(), role, Inner::Frames, file).unwrap();
            let (from, to) = (from.clone(), to.clone());
            (keys.channel().unwrap(), End { from, to })
        };
        let mut nodes = [
            node(Role::Inside, &right, &left),
            node(Role::Outside, &left, &right),
        ];
        while nodes.iter().any(|(channel, _)| channel.proof().is_none()) {
            for (channel, wire) in &mut nodes {
                let _ = channel.authenticate(wire);
            }
        }
        nodes.reverse();
        nodes
    }

    #[test]
    fn the_outside_node_gives_no_ticket_that_would_take_the_place_of_a_proof() {
        let [(_, outside), _] = proven(provider);
        assert!(outside.to.borrow().is_empty(), "it spoke last");
    }

    #[test]
    fn a_crowd_of_handshakes_is_spread_over_turns() {
        let file = KeyFile::with_text(Path::new("link.key"), &[b'A'; 43]).unwrap();
        let mut keys = Keys::new(Role::Outside, Inner::Frames, file).unwrap();
        let first = Instant::now();
        for turn in [first, first + std::time::Duration::from_millis(1)] {
            let admitted = (0..100).filter(|_| keys.admit_handshake(turn)).count();
            assert_eq!(admitted, HANDSHAKES_PER_TURN);
        }
    }

    #[test]
    fn keys_that_are_used_up_are_followed_by_others() {
        let [
            (mut outside, mut wire_outside),
            (mut inside, mut wire_inside),
        ] = proven(short_lived);
        let mut buffer = [0; 100_000];
        for number in 0..40_u8 {
            let bytes = vec![number; usize::from(number) * 1700];
            let sent = outside
                .send(&mut wire_outside, b"head", &bytes, false)
                .unwrap();
            let mut received = 0;
            while received < sent {
                let room = &mut buffer[received..];
                received += inside.recv(&mut wire_inside, room).unwrap();
            }
            assert_eq!(buffer[..4], *b"head");
            assert_eq!(buffer[4..sent], bytes[..sent - 4]);
            if number % 7 == 0 {
                inside.send(&mut wire_inside, b"", b"yes", false).unwrap();
                assert_eq!(outside.recv(&mut wire_outside, &mut buffer).unwrap(), 3);
            }
        }
    }
}
