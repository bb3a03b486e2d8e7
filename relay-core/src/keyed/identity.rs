//! From the secret to an Ed25519 key for each role.

use std::fmt;
use std::sync::Arc;

use rustls::Error;
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::crypto::aws_lc_rs::sign::any_eddsa_type;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

/// Which node one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `listen-listen`.
    Outside,
    /// `connect-connect`.
    Inside,
}

/// What a node presents, and what proves it.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) certified: Arc<CertifiedKey>,
    pub(super) proof: Proof,
}

/// The public key that a peer has proved to hold the private one of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Proof([u8; PUBLIC_KEY_BYTES]);

impl Role {
    /// The other node's.
    pub fn other(self) -> Self {
        match self {
            Self::Outside => Self::Inside,
            Self::Inside => Self::Outside,
        }
    }

    /// What the key is derived for, so that the holder of one role's key is not taken for the other's.
    fn info(self) -> &'static [u8] {
        match self {
            Self::Outside => b"outside",
            Self::Inside => b"inside",
        }
    }
}

impl Proof {
    /// Of a SubjectPublicKeyInfo (RFC 8410 §4), which is what a raw public key is on the wire.
    pub(super) fn of(public_key_info: &[u8]) -> Option<Self> {
        let key = public_key_info.strip_prefix(&PUBLIC_KEY_HEAD)?;
        Some(Self(key.try_into().ok()?))
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proof({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// HKDF (RFC 5869) with SHA-256: the salt names the protocol, the info the role; 32 bytes of it are the seed of the key.
pub(super) fn identity(role: Role, secret: &[u8]) -> Result<Identity, Error> {
    let fault = || Error::General("unable to derive a key".to_owned());
    let hkdf = TLS13_AES_128_GCM_SHA256
        .tls13()
        .ok_or_else(fault)?
        .hkdf_provider;
    let mut private = Zeroizing::new([0; PRIVATE_KEY_HEAD.len() + SEED_BYTES]);
    let (head, seed) = private.split_at_mut(PRIVATE_KEY_HEAD.len());
    head.copy_from_slice(&PRIVATE_KEY_HEAD);
    hkdf.extract_from_secret(Some(SALT), secret)
        .expand_slice(&[role.info()], seed)
        .map_err(|_| fault())?;
    let key = any_eddsa_type(&PrivatePkcs8KeyDer::from(&private[..]))?;
    let public = key.public_key().ok_or_else(fault)?;
    let proof = Proof::of(&public).ok_or_else(fault)?;
    let presented = CertificateDer::from(public.to_vec());
    Ok(Identity {
        certified: Arc::new(CertifiedKey::new(vec![presented], key)),
        proof,
    })
}

const SALT: &[u8] = b"tcp-gender-changer link 1";
const SEED_BYTES: usize = 32;
const PUBLIC_KEY_BYTES: usize = 32;

/// What stands before the 32 bytes of a seed in PKCS#8 (RFC 8410 §7).
const PRIVATE_KEY_HEAD: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// What stands before the 32 bytes of a public key (RFC 8410 §4).
const PUBLIC_KEY_HEAD: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with Python's hmac and hashlib, and openssl pkey.
    #[test]
    fn a_secret_gives_the_keys_that_the_manual_describes() {
        let secret: Vec<u8> = (0..32).collect();
        for (role, public) in [(Role::Outside, OUTSIDE), (Role::Inside, INSIDE)] {
            let Proof(bytes) = identity(role, &secret).unwrap().proof;
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, public, "{role:?}");
        }
    }

    #[test]
    fn what_is_not_an_ed25519_key_proves_nothing() {
        assert_eq!(Proof::of(&PUBLIC_KEY_HEAD), None);
        let mut long = PUBLIC_KEY_HEAD.to_vec();
        long.extend([0; 33]);
        assert_eq!(Proof::of(&long), None);
        long.pop();
        assert!(Proof::of(&long).is_some());
        long[5] ^= 1;
        assert_eq!(Proof::of(&long), None);
    }

    const OUTSIDE: &str = "e631a34c0abab2c253d017efcdd76ccf07a23481cc0b4cdde271d50208e192fb";
    const INSIDE: &str = "bc7e989705be5df064641d35b8c6f7255548cd28682bb625f4033b7ca285cd59";
}
