//! The tree against published vectors and against `ct-merkle`, which others wrote.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Memory, config};
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use evidence::hash::{Hash, from_hex, hex};
use evidence::merkle::{
    Frontier, MAX_PROOF, MAX_TREE_SIZE, ProofError, ProveError, consistency_proof, empty_root,
    inclusion_proof, leaf_hash, node_hash, root_at, verify_consistency, verify_inclusion,
};
use proptest::prelude::*;
use sha2::Sha256;

/// The leaves of the reference implementation's test (google/certificate-transparency).
const LEAVES: [&str; 8] = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
];

/// The roots over the first 0..=8 of them.
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn published() -> Memory {
    Memory::of(LEAVES.iter().map(|leaf| leaf_hash(&from_hex(leaf).unwrap())))
}

fn hashes(texts: &[&str]) -> Vec<Hash> {
    texts.iter().map(|text| from_hex(text).unwrap().try_into().unwrap()).collect()
}

#[test]
fn roots_are_the_published_ones() {
    let memory = published();
    assert_eq!(hex(&Frontier::new().root()), ROOTS[0]);
    for (size, root) in (0u64..).zip(ROOTS) {
        assert_eq!(hex(&root_at(&memory, size).unwrap()), root, "size {size}");
    }
    assert_eq!(hex(&memory.frontier.root()), ROOTS[8]);
}

#[test]
fn proofs_are_the_published_ones() {
    let memory = published();
    let path = hashes(&[
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]);
    assert_eq!(inclusion_proof(&memory, 0, 8).unwrap(), path);
    let path = hashes(&[
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]);
    assert_eq!(consistency_proof(&memory, 6, 8).unwrap(), path);
}

#[test]
fn nodes_lie_with_the_leaf_that_completes_them() {
    let memory = Memory::of((0..64u8).map(|i| leaf_hash(&[i])));
    for (index, nodes) in memory.nodes.iter().enumerate() {
        assert_eq!(nodes.len(), 1 + index.trailing_ones() as usize);
    }
    let first = node_hash(&leaf_hash(&[0]), &leaf_hash(&[1]));
    assert_eq!(memory.nodes[1], vec![leaf_hash(&[1]), first]);
}

#[test]
fn impossible_questions_are_refused() {
    let memory = published();
    assert_eq!(inclusion_proof(&memory, 8, 8), Err(ProveError::Index { index: 8, size: 8 }));
    assert_eq!(consistency_proof(&memory, 8, 7), Err(ProveError::Order { old: 8, new: 7 }));
    let root = [0; 32];
    let refused = verify_inclusion(3, 3, &root, &[], &root);
    assert_eq!(refused, Err(ProofError::Index { index: 3, size: 3 }));
    let large = MAX_TREE_SIZE + 1;
    assert_eq!(
        verify_inclusion(0, large, &root, &[], &root),
        Err(ProofError::Size { size: large })
    );
    assert_eq!(
        verify_consistency(1, &root, large, &root, &[]),
        Err(ProofError::Size { size: large })
    );
    let long = vec![root; MAX_PROOF + 1];
    let found = MAX_PROOF + 1;
    assert_eq!(verify_consistency(1, &root, 9, &root, &long), Err(ProofError::Length { found }));
}

#[test]
fn equal_and_empty_trees_need_empty_proofs() {
    let (a, b) = ([1; 32], [2; 32]);
    assert_eq!(verify_consistency(5, &a, 5, &a, &[]), Ok(()));
    assert_eq!(verify_consistency(5, &a, 5, &b, &[]), Err(ProofError::Root));
    assert_eq!(verify_consistency(5, &a, 5, &a, &[b]), Err(ProofError::Length { found: 1 }));
    assert_eq!(verify_consistency(0, &empty_root(), 5, &a, &[]), Ok(()));
    assert_eq!(verify_consistency(0, &a, 5, &a, &[]), Err(ProofError::OldRoot));
    let one = verify_consistency(0, &empty_root(), 5, &a, &[b]);
    assert_eq!(one, Err(ProofError::Length { found: 1 }));
    assert_eq!(verify_consistency(0, &a, 0, &a, &[]), Err(ProofError::OldRoot));
    assert_eq!(verify_consistency(6, &a, 5, &a, &[]), Err(ProofError::Order { old: 6, new: 5 }));
}

/// A tree of the other implementation over one-number leaves.
fn theirs(size: u64) -> MemoryBackedTree<Sha256, Vec<u8>> {
    let mut tree = MemoryBackedTree::new();
    (0..size).for_each(|i| tree.push(i.to_be_bytes().to_vec()));
    tree
}

fn ours(size: u64) -> Memory {
    Memory::of((0..size).map(|i| leaf_hash(&i.to_be_bytes())))
}

fn their_root(root: Hash, size: u64) -> RootHash<Sha256> {
    RootHash::new(root.into(), size)
}

proptest! {
    #![proptest_config(config(96))]

    #[test]
    fn roots_agree(size in 0u64..700) {
        let (theirs, ours) = (theirs(size), ours(size));
        prop_assert_eq!(theirs.root(), their_root(ours.frontier.root(), size));
        prop_assert_eq!(ours.frontier.clone(), Frontier::load(&ours, size).unwrap());
    }

    #[test]
    fn inclusion_proofs_agree(size in 1u64..700, pick in any::<u64>(), flip in any::<u16>()) {
        let index = pick % size;
        let (theirs, ours) = (theirs(size), ours(size));
        let (root, leaf) = (ours.frontier.root(), leaf_hash(&index.to_be_bytes()));
        let mut proof = inclusion_proof(&ours, index, size).unwrap();
        let other = theirs.prove_inclusion(index as usize);
        prop_assert_eq!(proof.concat(), other.as_bytes());
        prop_assert_eq!(verify_inclusion(index, size, &leaf, &proof, &root), Ok(()));
        let back = InclusionProof::<Sha256>::try_from_bytes(proof.concat()).unwrap();
        let value = index.to_be_bytes().to_vec();
        prop_assert!(their_root(root, size).verify_inclusion(&value, index, &back).is_ok());
        // Longer, shorter, changed: refused.
        proof.push(root);
        prop_assert!(verify_inclusion(index, size, &leaf, &proof, &root).is_err());
        proof.pop();
        if let Some(last) = proof.pop() {
            prop_assert!(verify_inclusion(index, size, &leaf, &proof, &root).is_err());
            proof.push(last);
            let at = usize::from(flip) % proof.len();
            proof[at][usize::from(flip) % 32] ^= 1;
            let refused = verify_inclusion(index, size, &leaf, &proof, &root);
            prop_assert_eq!(refused, Err(ProofError::Root));
        }
    }

    #[test]
    fn consistency_proofs_agree(new in 1u64..700, pick in any::<u64>(), flip in any::<u16>()) {
        let old = 1 + pick % new;
        let (theirs, ours) = (theirs(new), ours(new));
        let (before, after) = (root_at(&ours, old).unwrap(), ours.frontier.root());
        let mut proof = consistency_proof(&ours, old, new).unwrap();
        let other = theirs.prove_consistency((new - old) as usize);
        prop_assert_eq!(proof.concat(), other.as_bytes());
        prop_assert_eq!(verify_consistency(old, &before, new, &after, &proof), Ok(()));
        let back = ConsistencyProof::<Sha256>::try_from_bytes(proof.concat()).unwrap();
        let checked = their_root(after, new).verify_consistency(&their_root(before, old), &back);
        prop_assert!(checked.is_ok());
        proof.push(after);
        prop_assert!(verify_consistency(old, &before, new, &after, &proof).is_err());
        proof.pop();
        if let Some(last) = proof.pop() {
            prop_assert!(verify_consistency(old, &before, new, &after, &proof).is_err());
            proof.push(last);
            let at = usize::from(flip) % proof.len();
            proof[at][usize::from(flip) % 32] ^= 1;
            let refused = verify_consistency(old, &before, new, &after, &proof);
            prop_assert!(refused.is_err_and(|error| error.contradicts()));
        }
    }

    #[test]
    fn frontiers_round_trip(size in 0u64..300, cut in 0usize..200) {
        let frontier = ours(size).frontier;
        let bytes = frontier.encode();
        prop_assert_eq!(Frontier::decode(&bytes), Ok(frontier));
        prop_assert!(Frontier::decode(&[bytes.as_slice(), &[0]].concat()).is_err());
        if cut < bytes.len() {
            prop_assert!(Frontier::decode(&bytes[..cut]).is_err());
        }
    }

    #[test]
    fn any_frontier_that_is_read_is_written_the_same(
        size in any::<u64>(),
        peaks in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let bytes = [size.to_be_bytes().as_slice(), &peaks].concat();
        if let Ok(frontier) = Frontier::decode(&bytes) {
            prop_assert_eq!(frontier.encode(), bytes);
        }
    }

    #[test]
    fn no_proof_panics(
        old in any::<u64>(),
        new in any::<u64>(),
        shift in 0u32..64,
        proof in proptest::collection::vec(any::<[u8; 32]>(), 0..60),
    ) {
        let (old, new, root) = (old >> shift, new >> shift, [0; 32]);
        let _ = verify_consistency(old, &root, new, &root, &proof);
        let _ = verify_inclusion(old, new, &root, &proof, &root);
    }
}
