//! Trust policies: the grammar rule by rule, and checkpoints judged by them.

#![allow(clippy::unwrap_used)]

mod common;

use common::config;
use common::parties::{Log, Parties};
use evidence::checkpoint::cosign;
use evidence::note::{Kind, NoteError, SignedNote, Signer};
use evidence::policy::{
    Missing, Policy, PolicyError, PolicyProblem, PolicyRefusal, Threshold, Word, centre_policy,
    reader_policy, region_policy,
};
use proptest::prelude::*;

fn word(text: &str) -> Word {
    Word::new(text.as_bytes()).unwrap()
}

/// Verifier keys of a log and of cosigners.
fn vkeys() -> (String, Vec<String>) {
    let cosigner = |i: u8| Signer::cosigner(&format!("w.example/{i}"), &[i; 32]).unwrap();
    let log = Signer::log("adal.example/log/kz-75", &[99; 32]).unwrap();
    (log.verifier().to_string(), (0..6).map(|i| cosigner(i).verifier().to_string()).collect())
}

/// The example of the specification, with keys.
fn example() -> String {
    let (log, w) = vkeys();
    format!(
        "log {log}\n\nwitness X1 {}\nwitness X2 {}\nwitness X3 {}\n\
         group X-witnesses 2 X1 X2 X3\n\n# others\nwitness Y1 {}\nwitness Y2 {}\n\
         witness Y3 {} https://y3.example/\ngroup Y-witnesses any Y1 Y2 Y3\n\n\
         group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n",
        w[0], w[1], w[2], w[3], w[4], w[5]
    )
}

#[test]
fn the_example_of_the_specification_is_read() {
    let policy = Policy::parse(example().as_bytes()).unwrap();
    assert_eq!((policy.logs().len(), policy.witnesses().len(), policy.groups().len()), (1, 6, 3));
    assert_eq!(policy.quorum(), Some(&word("X-and-Y")));
    assert_eq!(policy.groups()[0].threshold, Threshold::AtLeast(2));
    assert_eq!(policy.witnesses()[5].url, Some(word("https://y3.example/")));
    let written = policy.to_bytes();
    assert_eq!(Policy::parse(&written).unwrap(), policy);
    assert_eq!(Policy::parse(&written).unwrap().to_bytes(), written);
}

#[test]
fn blanks_comments_and_octets_are_free_where_the_format_says_so() {
    let (log, w) = vkeys();
    let text = [
        b"\t # first\xff\n \t\n  log \t ".as_slice(),
        log.as_bytes(),
        b"  \nwitness \xe2\x84\xaa ",
        w[0].as_bytes(),
        b"\nwitness K ",
        w[1].as_bytes(),
        b" https://\xff\nquorum \xe2\x84\xaa\t\n",
    ]
    .concat();
    let policy = Policy::parse(&text).unwrap();
    assert_eq!(policy.witnesses().len(), 2, "K and the Kelvin sign are two names");
    assert_eq!(policy.quorum(), Some(&Word::new(b"\xe2\x84\xaa").unwrap()));
    assert_eq!(Policy::parse(&policy.to_bytes()).unwrap(), policy);
    // The smallest policy: no log, no witness, nothing asked.
    assert_eq!(Policy::parse(b"quorum none\n").unwrap().quorum(), None);
}

#[test]
fn each_broken_rule_names_its_line() {
    let (log, w) = vkeys();
    let (log_key, w0, w1) = (log.as_str(), w[0].as_str(), w[1].as_str());
    let twin = Signer::cosigner("other.example", &[0; 32]).unwrap().verifier().to_string();
    let (all, items) = (format!("witness a {w0}\nwitness b {w1}\n"), "quorum <name>|none");
    let cases = [
        ("quorum none", 1, PolicyProblem::Unterminated),
        ("", 1, PolicyProblem::NoQuorum),
        ("# only a comment\n", 2, PolicyProblem::NoQuorum),
        ("quorum none\r\n", 1, PolicyProblem::Control { at: 12 }),
        ("quorum none\n#\x7f\n", 2, PolicyProblem::Control { at: 2 }),
        ("quorum none\nquorum none\n", 2, PolicyProblem::SecondQuorum),
        ("quorum a\n", 1, PolicyProblem::Undefined),
        ("quorum\n", 1, PolicyProblem::Items { form: items }),
        ("quorum none # no\n", 1, PolicyProblem::Items { form: items }),
        ("Quorum none\n", 1, PolicyProblem::Keyword),
        ("\u{a0}quorum none\n", 1, PolicyProblem::Keyword),
        (&format!("log {w0}\n"), 1, PolicyProblem::KeyKind { expected: Kind::Log }),
        ("log a+b+c\n", 1, PolicyProblem::Key(NoteError::VerifierKey { field: "key" })),
        ("log \n", 1, PolicyProblem::Items { form: "log <vkey> [<url>]" }),
        (&format!("log {log_key}\n\nlog {log_key} u\n"), 3, PolicyProblem::DuplicateKey),
        (&format!("witness a {log_key}\n"), 1, PolicyProblem::KeyKind { expected: Kind::Cosigner }),
        (&format!("witness none {w0}\n"), 1, PolicyProblem::NameTaken),
        (&format!("witness a {w0}\nwitness a {w1}\n"), 2, PolicyProblem::NameTaken),
        (&format!("witness a {w0}\nwitness b {twin}\n"), 2, PolicyProblem::DuplicateKey),
        (&format!("{all}group a any b\n"), 3, PolicyProblem::NameTaken),
        (&format!("{all}group none any b\n"), 3, PolicyProblem::NameTaken),
        (&format!("{all}group g any none\n"), 3, PolicyProblem::Undefined),
        (&format!("{all}group g any g\n"), 3, PolicyProblem::Undefined),
        (&format!("{all}group g any\n"), 3, PolicyProblem::Threshold),
        (&format!("{all}group g 0 a b\n"), 3, PolicyProblem::Threshold),
        (&format!("{all}group g 3 a b\n"), 3, PolicyProblem::Threshold),
        (&format!("{all}group g 01 a b\n"), 3, PolicyProblem::Threshold),
        (&format!("{all}group g some a b\n"), 3, PolicyProblem::Threshold),
        (&format!("{all}group g any a a\n"), 3, PolicyProblem::MemberTwice),
        (&format!("{all}group g any a\ngroup h any a\n"), 4, PolicyProblem::MemberTwice),
    ];
    for (text, line, problem) in cases {
        assert_eq!(Policy::parse(text.as_bytes()), Err(PolicyError { line, problem }), "{text:?}");
    }
    let large = format!("quorum none\n#{}\n", "a".repeat(256 * 1024));
    assert!(matches!(
        Policy::parse(large.as_bytes()).unwrap_err().problem,
        PolicyProblem::TooLarge { .. }
    ));
}

#[test]
fn a_region_needs_witness_mirror_and_a_peer() {
    let (parties, log) = (Parties::new(), Log::of(5));
    let (policy, note) = (parties.policy(), log.signed(5, &parties.log));
    let full = policy.accept(&parties.cosigned(&note)).unwrap();
    assert_eq!((full.checkpoint, full.unknown, full.cosigned.len()), (log.head(5), 0, 3));
    assert_eq!(full.cosigned[0].name, word("adal.example/witness/kz"));
    assert_eq!(full.cosigned[0].time, 1_760_000_000);

    let bare = policy.evaluate(&note.parse().unwrap()).unwrap();
    assert!(!bare.quorum_met());
    let text = "cosignatures are missing: held (0 of 3 needed; without: adal.example/witness/kz, \
        adal.example/mirror/kz, peers (0 of 1 needed; without: adal.example/witness/kz-10, \
        adal.example/witness/kz-19, adal.example/witness/kz-27))";
    assert_eq!(bare.require_quorum().unwrap_err().to_string(), text);

    // Without the mirror; two lines of one witness count once, and the earlier time is told.
    let by = |by: &Signer, time| cosign(&note, by, time).unwrap();
    let lines = [by(&parties.witness, 9), by(&parties.witness, 8), by(&parties.peers[2], 7)];
    let partial = policy.evaluate(&format!("{note}{}", lines.concat()).parse().unwrap()).unwrap();
    assert_eq!(partial.cosigned.iter().map(|c| c.time).collect::<Vec<_>>(), [8, 7]);
    let lacking = vec![Missing::Witness(word("adal.example/mirror/kz"))];
    let missing = Missing::Group { name: word("held"), have: 2, need: 3, lacking };
    assert_eq!(partial.missing, Some(missing));
}

#[test]
fn the_centre_needs_a_quorum_of_regions() {
    let (parties, log) = (Parties::new(), Log::of(2));
    let logs = [parties.log.verifier()];
    let policy = centre_policy(&logs, &parties.peers(), &[], 2).unwrap();
    let note = log.signed(2, &parties.log);
    let by = |by: &Signer| cosign(&note, by, 7).unwrap();
    let one = format!("{note}{}", by(&parties.peers[1]));
    assert!(!policy.evaluate(&one.parse().unwrap()).unwrap().quorum_met());
    let two = format!("{one}{}", by(&parties.peers[2]));
    assert!(policy.accept(&two.parse().unwrap()).is_ok());
    let too_many = centre_policy(&logs, &parties.peers(), &[], 4);
    assert_eq!(too_many, Err(PolicyProblem::Threshold));
}

#[test]
fn a_waiting_key_is_known_and_does_not_count() {
    let (parties, log) = (Parties::new(), Log::of(2));
    let renewed = Signer::cosigner(parties.peers()[1].name(), &[78; 32]).unwrap();
    let (logs, waiting) = ([parties.log.verifier()], [renewed.verifier()]);
    let policy = centre_policy(&logs, &parties.peers(), &waiting, 2).unwrap();
    assert_eq!(Policy::parse(&policy.to_bytes()).unwrap(), policy);
    let note = log.signed(2, &parties.log);
    let by = |by: &Signer| cosign(&note, by, 7).unwrap();
    let with_new = format!("{note}{}{}", by(&parties.peers[0]), by(&renewed));
    let judged = policy.evaluate(&with_new.parse().unwrap()).unwrap();
    assert_eq!((judged.quorum_met(), judged.unknown), (false, 0));
    let name = format!("{}/waiting", renewed.verifier().name());
    assert!(judged.cosigned.iter().any(|line| line.name == word(&name)));
    // Not even both keys of one region are two regions; the old one counts.
    let both = format!("{note}{}{}", by(&parties.peers[1]), by(&renewed));
    assert!(!policy.evaluate(&both.parse().unwrap()).unwrap().quorum_met());
    let two = format!("{with_new}{}", by(&parties.peers[1]));
    assert!(policy.evaluate(&two.parse().unwrap()).unwrap().quorum_met());
}

#[test]
fn a_region_without_peers_needs_the_centre_and_a_reader_its_own_keys() {
    let (parties, log) = (Parties::new(), Log::of(2));
    let (logs, note) = ([parties.log.verifier()], log.signed(2, &parties.log));
    let (witness, mirror) = (parties.witness.verifier(), parties.mirror.verifier());
    let by = |by: &Signer| cosign(&note, by, 7).unwrap();
    let one = format!("{note}{}", by(&parties.witness)).parse().unwrap();
    let two = format!("{note}{}{}", by(&parties.witness), by(&parties.mirror)).parse().unwrap();
    let met = |policy: &Policy, note| policy.evaluate(note).unwrap().quorum_met();
    for both in [
        region_policy(&logs, &witness, &mirror, &[]).unwrap(),
        reader_policy(&logs, &witness, Some(&mirror)).unwrap(),
    ] {
        assert_eq!((met(&both, &one), met(&both, &two)), (false, true));
    }
    let alone = reader_policy(&logs, &witness, None).unwrap();
    assert!(met(&alone, &one));
}

#[test]
fn foreign_wrong_and_missing_signatures_are_told_apart() {
    let (parties, log) = (Parties::new(), Log::of(5));
    let policy = parties.policy();
    let note = log.signed(5, &parties.log);
    // A stranger's line is ignored, also under a known name.
    let stranger = Signer::cosigner("adal.example/witness/kz", &[77; 32]).unwrap();
    let line = cosign(&note, &stranger, 7).unwrap();
    let judged = policy.evaluate(&format!("{note}{line}").parse().unwrap()).unwrap();
    assert_eq!((judged.unknown, judged.cosigned.len()), (1, 0));
    // A known witness's line over another head refuses the note.
    let other = cosign(&log.signed(4, &parties.log), &parties.witness, 7).unwrap();
    let refused = policy.evaluate(&format!("{note}{other}").parse().unwrap());
    let key = "adal.example/witness/kz".to_owned();
    assert_eq!(refused, Err(PolicyRefusal::Signature { key }));
    // Another key of the same origin; another origin; a note that is no checkpoint.
    let thief = Signer::log(parties.log.name(), &[77; 32]).unwrap();
    let refused = policy.evaluate(&log.signed(5, &thief).parse().unwrap());
    assert_eq!(refused, Err(PolicyRefusal::NotSigned));
    let foreign = Signer::log("adal.example/log/kz-10", &[1; 32]).unwrap();
    let mut head = log.head(5);
    head.origin = foreign.name().to_owned();
    let refused = policy.evaluate(&head.sign(&foreign).unwrap().parse().unwrap());
    assert_eq!(refused, Err(PolicyRefusal::UnknownOrigin));
    let text = SignedNote::sign("text\n", &parties.log).unwrap();
    assert!(matches!(policy.evaluate(&text), Err(PolicyRefusal::Malformed(_))));
}

#[test]
fn a_rotated_key_is_a_second_line_of_the_same_origin() {
    let (parties, log) = (Parties::new(), Log::of(5));
    let new = Signer::log(parties.log.name(), &[42; 32]).unwrap();
    let text = |keys: &[&Signer]| {
        keys.iter().map(|key| format!("log {}\n", key.verifier())).collect::<String>()
            + "quorum none\n"
    };
    let both: Policy = text(&[&parties.log, &new]).parse().unwrap();
    let old_only: Policy = text(&[&parties.log]).parse().unwrap();
    for signer in [&parties.log, &new] {
        let judged = both.accept(&log.signed(5, signer).parse().unwrap()).unwrap();
        assert_eq!(judged.log, signer.verifier());
    }
    let refused = old_only.accept(&log.signed(5, &new).parse().unwrap());
    assert_eq!(refused, Err(PolicyRefusal::NotSigned));
    assert!(both.covers(&old_only) && !old_only.covers(&both));
    assert!(both.covers(&both) && !both.covers(&parties.policy()));
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn what_is_accepted_has_one_own_spelling(
        lines in proptest::collection::vec(0usize..14, 0..16),
        noise in proptest::collection::vec(any::<u8>(), 0..8),
    ) {
        let (log, w) = vkeys();
        let pieces = [
            format!("log {log}\n"), format!("witness a {}\n", w[0]),
            format!("witness\tb {} u\n", w[1]), format!(" witness c {}\n", w[2]),
            "group g any a\n".into(), "group h 1 b c\n".into(), "group i all g h\n".into(),
            "group j 2 a b c\n".into(), "quorum none\n".into(), "quorum a\n".into(),
            "quorum i\n".into(), "quorum j\n".into(), "# c\n".into(), "\n".into(),
        ];
        let mut text: Vec<u8> = lines.iter().flat_map(|i| pieces[*i].bytes()).collect();
        if !noise.is_empty() && noise[0] < 64 {
            let at = usize::from(noise[0]) % (text.len() + 1);
            text.splice(at..at, noise[1..].iter().copied());
        }
        if let Ok(policy) = Policy::parse(&text) {
            let written = policy.to_bytes();
            let again = Policy::parse(&written).unwrap();
            prop_assert_eq!(&again, &policy);
            prop_assert_eq!(again.to_bytes(), written);
            prop_assert!(policy.covers(&again));
        }
    }

    /// The quorum against a second evaluation written the short way.
    #[test]
    fn quorums_agree_with_counting(present in 0u8..64, k in 1usize..=3, l in 1usize..=3) {
        let (log, _) = vkeys();
        let signers: Vec<Signer> =
            (0..6u8).map(|i| Signer::cosigner(&format!("w/{i}"), &[i; 32]).unwrap()).collect();
        let mut text = format!("log {log}\n");
        for (i, signer) in signers.iter().enumerate() {
            text += &format!("witness w{i} {}\n", signer.verifier());
        }
        text += &format!("group x {k} w0 w1 w2\ngroup y {l} w3 w4 w5\ngroup q all x y\nquorum q\n");
        let policy: Policy = text.parse().unwrap();
        let mut head = Log::of(1).head(1);
        head.origin = "adal.example/log/kz-75".into();
        let mut note = head.sign(&Signer::log(&head.origin, &[99; 32]).unwrap()).unwrap();
        for (i, signer) in signers.iter().enumerate().filter(|(i, _)| present >> i & 1 == 1) {
            note = format!("{note}{}", cosign(&note, signer, i as u64).unwrap());
        }
        let have = |from: usize| (present >> from & 7).count_ones() as usize;
        let expected = have(0) >= k && have(3) >= l;
        let judged = policy.evaluate(&note.parse().unwrap()).unwrap();
        prop_assert_eq!(judged.quorum_met(), expected);
        prop_assert_eq!(judged.cosigned.len(), present.count_ones() as usize);
    }
}
