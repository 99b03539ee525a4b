//! The pieces of a bundle: names and exact bytes. Whoever has the stored nodes, records and notes
//! writes them into a folder.

use thiserror::Error;

use super::PROOF_ENDING;
use crate::checkpoint::Checkpoint;
use crate::log::parse_origin;
use crate::merkle::{Nodes, ProveError, consistency_proof, inclusion_proof};
use crate::note::{NoteError, SignedNote};
use crate::opening::Opening;
use crate::policy::Policy;
use crate::proof::{TlogProof, TlogProofError};
use crate::record::{Leaf, Record};
use crate::tiles::{TILE_WIDTH, TileError, TileKind, TilePath, entry_bundle, hash_tile};
use crate::witness::{AddCheckpoint, RequestError};

/// One file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Its name in the folder, with `/` between its parts.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Why a piece cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WriteError<E> {
    /// The note is not a checkpoint.
    #[error("{0}")]
    Note(NoteError),
    /// The tree has no such leaf or sizes, or a node is unreadable.
    #[error("{0}")]
    Prove(ProveError<E>),
    /// A part is outside of its limits.
    #[error("{0}")]
    Proof(TlogProofError),
    /// A part is outside of its limits.
    #[error("{0}")]
    Request(RequestError),
    /// An entry is too large.
    #[error("{0}")]
    Tile(TileError),
    /// A node or entry is unreadable.
    #[error("reading the log")]
    Read(E),
}

/// `policy`.
#[must_use]
pub fn policy(policy: &Policy) -> Piece {
    Piece { name: "policy".to_owned(), bytes: policy.to_bytes() }
}

/// `checkpoints/e<epoch>-<size>`: a signed head with the cosignatures collected so far.
///
/// # Errors
/// [`NoteError`] if the note is not a checkpoint.
pub fn checkpoint(note: &SignedNote) -> Result<Piece, NoteError> {
    let head = Checkpoint::from_body(note.text())?;
    let name = format!("checkpoints/{}-{}", epoch(&head.origin), head.size);
    Ok(Piece { name, bytes: note.to_string().into_bytes() })
}

/// `consistency/e<epoch>-<old>-<new>`: the proof from size `old`, whose head is a piece of its own,
/// to the head of `note`.
///
/// # Errors
/// [`WriteError`].
pub fn consistency<N: Nodes>(
    nodes: &N,
    old: u64,
    note: &SignedNote,
) -> Result<Piece, WriteError<N::Error>> {
    let head = Checkpoint::from_body(note.text()).map_err(WriteError::Note)?;
    let proof = consistency_proof(nodes, old, head.size).map_err(WriteError::Prove)?;
    let request = AddCheckpoint::new(old, proof, note.clone()).map_err(WriteError::Request)?;
    let name = format!("consistency/{}-{old}-{}", epoch(&head.origin), head.size);
    Ok(Piece { name, bytes: request.to_string().into_bytes() })
}

/// The proof of a record under a signed head, with its opening: a receipt or a slip by what lines
/// the note has.
///
/// # Errors
/// [`WriteError`].
pub fn prove<N: Nodes>(
    nodes: &N,
    record: &Record,
    note: &SignedNote,
) -> Result<TlogProof, WriteError<N::Error>> {
    let head = Checkpoint::from_body(note.text()).map_err(WriteError::Note)?;
    let index = record.header().seq;
    let path = inclusion_proof(nodes, index, head.size).map_err(WriteError::Prove)?;
    let extra = Some(Opening::of(record).to_bytes());
    TlogProof::new(index, path, note.clone(), extra).map_err(WriteError::Proof)
}

/// `receipts/e<epoch>-<index>.tlog-proof`.
#[must_use]
pub fn receipt(proof: &TlogProof) -> Piece {
    proof_piece("receipts", proof)
}

/// `slips/e<epoch>-<index>.tlog-proof`.
#[must_use]
pub fn slip(proof: &TlogProof) -> Piece {
    proof_piece("slips", proof)
}

/// `leaves/<index>`: one log entry.
#[must_use]
pub fn leaf(leaf: &Leaf) -> Piece {
    Piece { name: format!("leaves/{}", leaf.seq), bytes: leaf.to_bytes() }
}

/// `log/checkpoint`: the head of the copy.
#[must_use]
pub fn log_checkpoint(note: &SignedNote) -> Piece {
    Piece { name: "log/checkpoint".to_owned(), bytes: note.to_string().into_bytes() }
}

/// `log/<path>`: a tile of the copy ([`crate::tiles::tiles_of`] its size). `entry` gives the exact
/// bytes of a log entry by its index.
///
/// # Errors
/// [`WriteError::Read`] or [`WriteError::Tile`].
pub fn log_tile<N: Nodes>(
    nodes: &N,
    path: &TilePath,
    mut entry: impl FnMut(u64) -> Result<Vec<u8>, N::Error>,
) -> Result<Piece, WriteError<N::Error>> {
    let (index, width) = (path.index(), path.width());
    let bytes = match path.kind() {
        TileKind::Hashes { level } => {
            hash_tile(nodes, level, index, width).map_err(WriteError::Read)?
        }
        TileKind::Entries => {
            let first = index * u64::from(TILE_WIDTH);
            let entries = (first..first + u64::from(width)).map(&mut entry);
            let entries = entries.collect::<Result<Vec<_>, _>>().map_err(WriteError::Read)?;
            entry_bundle(&entries).map_err(WriteError::Tile)?
        }
    };
    Ok(Piece { name: format!("log/{path}"), bytes })
}

/// A file of `receipts/` or `slips/`.
fn proof_piece(folder: &str, proof: &TlogProof) -> Piece {
    let text = proof.checkpoint().text();
    let origin = text.split_once('\n').map(|(origin, _)| origin).unwrap_or_default();
    let name = format!("{folder}/{}-{}{PROOF_ENDING}", epoch(origin), proof.index());
    Piece { name, bytes: proof.to_string().into_bytes() }
}

/// `e<epoch>` of an origin.
fn epoch(origin: &str) -> String {
    format!("e{}", parse_origin(origin).map_or(1, |(_, _, epoch)| epoch))
}
