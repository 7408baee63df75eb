//! SCRAM-SHA-256 (RFC 5802, RFC 7677), the server's side.
//!
//! A role's verifier is stored as PostgreSQL stores it, `SCRAM-SHA-256$<iterations>:<salt>$<stored
//! key>:<server key>`, so that dumps of roles carry over. A role that does not exist is taken
//! through the same exchange with a made-up verifier: the wire does not tell which names exist.

use base64::prelude::{BASE64_STANDARD, Engine};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use shardforge_common::{Error, Result};

/// The name of the mechanism.
pub const MECHANISM: &str = "SCRAM-SHA-256";
/// Iterations of verifiers that we make: PostgreSQL's own count.
pub const ITERATIONS: u32 = 4096;
const KEY_LEN: usize = 32;

/// What the server keeps of a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    iterations: u32,
    salt: Vec<u8>,
    stored_key: [u8; KEY_LEN],
    server_key: [u8; KEY_LEN],
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; KEY_LEN] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

impl Verifier {
    /// The verifier of a password.
    pub fn new(password: &str, salt: &[u8], iterations: u32) -> Self {
        // A password that SASLprep refuses is used as it is, as PostgreSQL does.
        let prepared = stringprep::saslprep(password).unwrap_or(password.into());
        let salted = pbkdf2::pbkdf2_hmac_array::<Sha256, KEY_LEN>(prepared.as_bytes(), salt, iterations);
        let client_key = hmac(&salted, &[b"Client Key"]);
        Self {
            iterations,
            salt: salt.to_vec(),
            stored_key: Sha256::digest(client_key).into(),
            server_key: hmac(&salted, &[b"Server Key"]),
        }
    }

    /// The verifier of what a role's password is set to: a text that is a verifier already is taken as
    /// it is, as pg_dumpall's scripts have it. An empty one is no password.
    pub fn of_setting(text: &str, salt: &[u8]) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        Some(Self::from_text(text).unwrap_or_else(|_| Self::new(text, salt, ITERATIONS)))
    }

    /// A verifier that no password matches, the same for the same name and secret.
    pub fn mock(name: &str, secret: &[u8]) -> Self {
        let salt = hmac(secret, &[b"salt", name.as_bytes()]);
        let key = hmac(secret, &[b"key", name.as_bytes()]);
        Self { iterations: ITERATIONS, salt: salt[..16].to_vec(), stored_key: key, server_key: key }
    }

    /// The stored form.
    pub fn to_text(&self) -> String {
        let encode = |bytes: &[u8]| BASE64_STANDARD.encode(bytes);
        format!(
            "{MECHANISM}${}:{}${}:{}",
            self.iterations,
            encode(&self.salt),
            encode(&self.stored_key),
            encode(&self.server_key)
        )
    }

    /// Reads the stored form.
    pub fn from_text(text: &str) -> Result<Self> {
        let parse = || {
            let rest = text.strip_prefix(MECHANISM)?.strip_prefix('$')?;
            let (parameters, keys) = rest.split_once('$')?;
            let (iterations, salt) = parameters.split_once(':')?;
            let (stored, server) = keys.split_once(':')?;
            let decode = |text: &str| BASE64_STANDARD.decode(text).ok();
            Some(Self {
                iterations: iterations.parse().ok().filter(|count| *count > 0)?,
                salt: decode(salt)?,
                stored_key: decode(stored)?.try_into().ok()?,
                server_key: decode(server)?.try_into().ok()?,
            })
        };
        parse().ok_or_else(|| Error::corrupt("a role's password verifier is not in SCRAM-SHA-256 form"))
    }

    /// Whether the password is the one.
    pub fn matches(&self, password: &str) -> bool {
        Self::new(password, &self.salt, self.iterations) == *self
    }
}

/// One exchange: client-first gives server-first, client-final gives server-final.
#[derive(Debug)]
pub struct Exchange {
    verifier: Verifier,
    nonce: String,
    client_first_bare: String,
    server_first: String,
    gs2_header: String,
}

impl Exchange {
    /// Takes the client's first message. `server_nonce` is random, printable and without commas.
    pub fn start(verifier: Verifier, client_first: &str, server_nonce: &str) -> Result<Self> {
        let bad = |what: &str| Error::invalid(format!("malformed SCRAM message: {what}"));
        let mut parts = client_first.splitn(3, ',');
        let (flag, authzid) =
            (parts.next().unwrap_or_default(), parts.next().ok_or_else(|| bad("no header"))?);
        let bare = parts.next().ok_or_else(|| bad("no message after the header"))?;
        match flag {
            "n" | "y" => {}
            _ => return Err(bad("channel binding is not offered")),
        }
        if !authzid.is_empty() {
            return Err(bad("an authorization identity is not supported"));
        }
        if bare.starts_with("m=") {
            return Err(bad("an unknown mandatory extension"));
        }
        let mut attributes = bare.split(',');
        attributes.next().and_then(|a| a.strip_prefix("n=")).ok_or_else(|| bad("no user name"))?;
        let client_nonce =
            attributes.next().and_then(|a| a.strip_prefix("r=")).ok_or_else(|| bad("no nonce"))?;
        let nonce = format!("{client_nonce}{server_nonce}");
        let salt = BASE64_STANDARD.encode(&verifier.salt);
        let server_first = format!("r={nonce},s={salt},i={}", verifier.iterations);
        let gs2_header = format!("{flag},{authzid},");
        Ok(Self { verifier, nonce, client_first_bare: bare.to_string(), server_first, gs2_header })
    }

    /// The server's first message.
    pub fn server_first(&self) -> &str {
        &self.server_first
    }

    /// Takes the client's final message: the server's final message when the proof is right,
    /// `None` when it is not.
    pub fn finish(&self, client_final: &str) -> Result<Option<String>> {
        let bad = |what: &str| Error::invalid(format!("malformed SCRAM message: {what}"));
        let (without_proof, proof) = client_final.rsplit_once(",p=").ok_or_else(|| bad("no proof"))?;
        let mut attributes = without_proof.split(',');
        let binding =
            attributes.next().and_then(|a| a.strip_prefix("c=")).ok_or_else(|| bad("no channel binding"))?;
        if BASE64_STANDARD.decode(binding).ok().as_deref() != Some(self.gs2_header.as_bytes()) {
            return Err(bad("the channel binding differs from the first message's"));
        }
        let nonce = attributes.next().and_then(|a| a.strip_prefix("r=")).ok_or_else(|| bad("no nonce"))?;
        if nonce != self.nonce {
            return Err(bad("the nonce differs from the first message's"));
        }
        let proof: [u8; KEY_LEN] = BASE64_STANDARD
            .decode(proof)
            .ok()
            .and_then(|proof| proof.try_into().ok())
            .ok_or_else(|| bad("the proof is not 32 bytes of base64"))?;
        let message = [
            self.client_first_bare.as_bytes(),
            b",",
            self.server_first.as_bytes(),
            b",",
            without_proof.as_bytes(),
        ];
        let signature = hmac(&self.verifier.stored_key, &message);
        let mut client_key = proof;
        client_key.iter_mut().zip(signature).for_each(|(byte, mask)| *byte ^= mask);
        // Compared as hashes of themselves would be; a difference in time tells nothing of a hash's preimage.
        if <[u8; KEY_LEN]>::from(Sha256::digest(client_key)) != self.verifier.stored_key {
            return Ok(None);
        }
        Ok(Some(format!("v={}", BASE64_STANDARD.encode(hmac(&self.verifier.server_key, &message)))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677, section 3.
    #[test]
    fn the_rfc_example_is_accepted_and_answered() {
        let salt = BASE64_STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = Verifier::new("pencil", &salt, 4096);
        let exchange =
            Exchange::start(verifier, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")
                .unwrap();
        assert_eq!(
            exchange.server_first(),
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        let last = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(
            exchange.finish(last).unwrap().as_deref(),
            Some("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
        );
        let wrong = last.replace("p=dH", "p=eH");
        assert_eq!(exchange.finish(&wrong).unwrap(), None);
        assert!(exchange.finish(&last.replace("c=biws", "c=eSws")).is_err());
    }

    #[test]
    fn verifiers_survive_their_text_form() {
        let verifier = Verifier::new("secret", b"0123456789abcdef", ITERATIONS);
        assert_eq!(Verifier::from_text(&verifier.to_text()).unwrap(), verifier);
        assert!(verifier.matches("secret") && !verifier.matches("Secret"));
        assert!(Verifier::from_text("md5abc").is_err());
    }
}
