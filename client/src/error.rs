//! What can go wrong, and refusals that say which rule was broken and what would be taken instead.

use serde::Serialize;
use std::fmt;

/// A rule that an input breaks, and the nearest input that does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The rule's name, for programs.
    pub rule: String,
    /// What was refused and why, for people.
    pub message: String,
    /// The nearest valid input, or what to do.
    #[serde(rename = "try", skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

impl Refusal {
    /// A refusal with the nearest valid input.
    pub fn new(
        rule: impl Into<String>,
        message: impl Into<String>,
        suggestion: impl Into<String>,
    ) -> Self {
        Self {
            rule: rule.into(),
            message: message.into(),
            suggestion: Some(suggestion.into()),
        }
    }

    /// A refusal for which there is no valid input near.
    pub fn plain(rule: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            rule: rule.into(),
            message: message.into(),
            suggestion: None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; try {suggestion}"),
            None => Ok(()),
        }
    }
}

/// Why a client call gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A rule of the exchange, checked here or by the chain.
    #[error("{0}")]
    Refused(Refusal),
    /// No node answers there.
    #[error("no node answers at {url}: {reason}; start one, or name it with --url")]
    Unreachable {
        /// Where.
        url: String,
        /// What the transport said.
        reason: String,
    },
    /// The node answered with an error.
    #[error("the node answered: {0}")]
    Rpc(#[from] subxt::rpcs::Error),
    /// The node's answer or its runtime is not what this client was built for.
    #[error("{what} cannot be read: {reason}; client and chain are of different versions")]
    Mismatch {
        /// Which answer.
        what: String,
        /// The decoder's words.
        reason: String,
    },
    /// The transaction left the pool without being included.
    #[error("the transaction was not included: {0}")]
    NotIncluded(String),
}

impl Error {
    pub(crate) fn mismatch(what: impl Into<String>, reason: impl fmt::Display) -> Self {
        Self::Mismatch {
            what: what.into(),
            reason: reason.to_string(),
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The result of a client call.
pub type Result<T, E = Error> = std::result::Result<T, E>;
