//! The table.

use super::Situation;

/// Every situation, in the order of the guide.
pub const ALL: &[Situation] = &[
    Situation {
        code: "gap",
        title: "gap",
        meaning: "Records of {log} came that do not follow those that {mirror} holds, again and \
                  again. None of them was stored: a mirror has no holes. A right program does not \
                  do this; the software of {writer} is faulty, or it is not Adal's.",
        at_writer: "1. `adal --as operator journal check`. 2. Update the node and start it again: \
                    it goes on by itself from what {mirror} holds.",
        at_mirror: "Nothing. If it comes again after {writer} was started anew, tell the national \
                    department; `adal sync explain OFFICE --evidence DIR` has what is kept.",
        endangers: false,
    },
    Situation {
        code: "fork",
        title: "fork, two histories of one log",
        meaning: "What {writer} has of {log} contradicts a head that {writer} signed and {mirror} \
                  co-signed: a signed record was changed or dropped, or two machines write with \
                  one key. Nothing of the second history was taken; the contradicting notes are \
                  kept for ever.",
        at_writer: "1. Stop the node and keep its whole data folder: it is evidence. 2. Find out \
                    who had access to the machine, and whether a copy of it runs elsewhere. 3. \
                    When that is clear, move `journal` aside, `adal journal restore --from BACKUP \
                    --to DATA/journal` with a backup of before the difference, and start the node: \
                    it goes on in a new epoch. 4. Enter again what only the journal moved aside \
                    has.",
        at_mirror: "1. `adal sync explain OFFICE --evidence DIR` writes what is kept to files. 2. \
                    Telephone {writer}: its journal may have been rewritten, or its key be in \
                    other hands. 3. Leave the mirror as it is; the new epoch is taken up by \
                    itself. If no backup is old enough, {writer} restores with a new key, and \
                    `adal office rekey --code {writer} --public FILE --yes` lets it in.",
        endangers: true,
    },
    Situation {
        code: "rollback",
        title: "rollback, the log went back and went on otherwise",
        meaning: "{writer} has fewer records of {log} than it signed and {mirror} co-signed, and \
                  went on from there: an old state of its journal was put back, or its end was \
                  lost. Nothing was taken from it; the log is read-only there.",
        at_writer: "1. Stop the node. 2. If the newer journal is still there (another disk, \
                    another folder), put it in place of this one and start: that is all. 3. \
                    Otherwise move `journal` aside and keep it, `adal journal restore --from \
                    BACKUP --to DATA/journal` with the newest backup, and start the node: it goes \
                    on in a new epoch. 4. Enter again what only the journal moved aside has.",
        at_mirror: "Nothing: the records that {mirror} holds stay, the new epoch is taken up by \
                    itself. Ask {writer} who put the old state back.",
        endangers: true,
    },
    Situation {
        code: "recreated_log",
        title: "re-created log",
        meaning: "{log} begins anew at {writer}, under the same key: it is empty there, or its \
                  first record is another one. Its data folder was emptied, or is not the one that \
                  is meant. Nothing was taken from it; the log is read-only there.",
        at_writer: "1. Stop the node. 2. Is the right disk mounted, is `data` in the configuration \
                    the right folder? If the old journal is there, move this one aside, put the \
                    old one back and start: that is all. 3. If it is lost, move this one aside and \
                    restore the newest backup with `adal journal restore --from BACKUP --to \
                    DATA/journal`. 4. Enter again what only the journal moved aside has.",
        at_mirror: "Nothing: the records that {mirror} holds stay. If {writer} has neither its \
                    journal nor a backup, they are what it is made anew from: do not remove them.",
        endangers: true,
    },
    Situation {
        code: "old_backup",
        title: "restored old backup",
        meaning: "{writer} has the first records of {log} and nothing else: an old copy of its \
                  journal was put back. Nothing contradicts, and nothing was taken from it; the \
                  log is read-only there, because a position is never used twice.",
        at_writer: "1. If the newer journal is still there, stop the node, put it back and start: \
                    that is all. 2. Otherwise `adal --as operator journal backup --out DIR`, stop \
                    the node, move `journal` aside, `adal journal restore --from DIR --to \
                    DATA/journal`, start: it goes on in a new epoch.",
        at_mirror: "Nothing: {mirror} holds what {writer} lacks, the new epoch is taken up by \
                    itself.",
        endangers: true,
    },
    Situation {
        code: "wrong_key",
        title: "wrong key",
        meaning: "{log} is signed by another key than the one that is known for its epoch. Nothing \
                  is taken under it: anybody can make a key.",
        at_writer: "1. Stop the node, put the old key file back (`log.key`, or the newest \
                    `keys/log+e<n>.key` of the data folder) and start it. 2. If it is certainly \
                    lost, go on in an epoch that was never used (`adal journal restore --epoch N`) \
                    and carry `keys/public.toml` of the data folder to the national department.",
        at_mirror: "1. Ask {writer} by telephone whether its key was changed. 2. Only if the old \
                    key is certainly lost: `adal office rekey --code {writer} --public FILE \
                    --yes`.",
        endangers: false,
    },
    Situation {
        code: "duplicate_office",
        title: "duplicate office",
        meaning: "Two machines run as {writer} with the same keys. {mirror} speaks with the one \
                  that came last and refuses the one that it replaced; what both record makes two \
                  histories.",
        at_writer: "1. Find the other machine (a copy, an old server, a snapshot of a virtual \
                    one), stop it for good and take its keys away. 2. Restart the real node: \
                    `systemctl restart adal-region`.",
        at_mirror: "Telephone {writer} and ask which machine is the real one. It is over when the \
                    real node was restarted; until then, what arrives may be the copy's.",
        endangers: true,
    },
    Situation {
        code: "incompatible_version",
        title: "incompatible version",
        meaning: "The software of the two sides speaks different versions of the protocol, or one \
                  does not understand the other. Nothing goes over the link; everything recorded \
                  waits and is safe where it is.",
        at_writer: "Update the older of the two; `adal sync explain OFFICE` shows the software of \
                    both, as far as it was said. The link comes back by itself.",
        at_mirror: "Update the older of the two. The link comes back by itself.",
        endangers: false,
    },
    Situation {
        code: "not_enrolled",
        title: "not enrolled",
        meaning: "{mirror} does not know {writer}, or its certificate names another office. \
                  Everything recorded waits and is safe where it is.",
        at_writer: "1. Check `office` in the configuration and the certificate in the folder of \
                    keys. 2. Carry `public.toml` of that folder to the national department.",
        at_mirror: "`adal office enrol --code {writer} --public FILE`, if it is an office of this \
                    country.",
        endangers: false,
    },
    Situation {
        code: "unknown_log",
        title: "unknown log",
        meaning: "One side speaks of a log, or an epoch of one, in which the other has no part. \
                  That log does not move, the others do.",
        at_writer: "Check `office` and `domain` in the configuration; update the older software.",
        at_mirror: "Check that {writer} is enrolled; update the older software.",
        endangers: false,
    },
    Situation {
        code: "bad_signature",
        title: "bad signature",
        meaning: "A head of {log}, a proof or a record is not what its signature says. Nothing of \
                  it was stored.",
        at_writer: "1. `adal --as operator journal check`. 2. If it is intact, update the node and \
                    start it again.",
        at_mirror: "`adal sync explain OFFICE --evidence DIR` has what is kept; if it comes again, \
                    telephone {writer}: something between may change what is sent.",
        endangers: false,
    },
    Situation {
        code: "damaged",
        title: "damaged records",
        meaning: "Stored bytes are damaged where they are needed; the text says at which office. \
                  Nothing is served from there.",
        at_writer: "`adal --as operator journal check` names each damage; restore the office if \
                    its own records are concerned.",
        at_mirror: "`adal --as operator journal check` names each damage; restore the mirror's \
                    office if it is here.",
        endangers: true,
    },
    Situation {
        code: "disk_full",
        title: "disk full",
        meaning: "The side that stores {log} has no room. It goes on by itself once there is some.",
        at_writer: "Nothing: records wait here.",
        at_mirror: "Free disk space.",
        endangers: false,
    },
    Situation {
        code: "index_building",
        title: "index being built",
        meaning: "The side that stores {log} builds its index. It goes on by itself.",
        at_writer: "Nothing.",
        at_mirror: "Nothing; `adal journal stat` shows how far it is.",
        endangers: false,
    },
    Situation {
        code: "internal",
        title: "broken protocol or failure inside",
        meaning: "One side broke the order of the protocol, something failed inside, or the reason \
                  is one that this version does not know; the text says what. The link is tried \
                  again by itself.",
        at_writer: "If it lasts, look into the node's log, and update the older software.",
        at_mirror: "If it lasts, look into the node's log, and update the older software.",
        endangers: false,
    },
    Situation {
        code: "wrong_clock",
        title: "wrong clock",
        meaning: "The clocks of the two sides differ. It is noted, and nothing is refused for it: \
                  order and completeness do not rest on clocks. Times of records and ages of heads \
                  are shown as each side's clock gave them.",
        at_writer: "Set the clock right (`timedatectl`), if it is this one that is wrong.",
        at_mirror: "Set the clock right (`timedatectl`), if it is this one that is wrong.",
        endangers: false,
    },
    Situation {
        code: "silent",
        title: "silent",
        meaning: "Nothing is heard from the other side. Each side records on; what the other holds \
                  is known up to the time that is shown. After `replication.silence_alarm_ms` it \
                  is an alarm, which ends by itself.",
        at_writer: "1. Does the node run (`systemctl status adal-region`)? 2. Is there a way to \
                    port 7475 of {mirror}? 3. `adal sync status` names the last error.",
        at_mirror: "Telephone {writer}: is there power, does the line work, does the node run? At \
                    the centre: is port 7475 open to the outside?",
        endangers: false,
    },
    Situation {
        code: "reseeding",
        title: "waiting for what the centre holds",
        meaning: "The journal of {writer} is new, or was made of a backup. It takes no facts \
                  before {mirror} has said what it holds of {log} and has given it back.",
        at_writer: "Wait while the records are counted. If it asks for it: stop the node and \
                    start it once with `--reseed`; or with `--without-centre`, which leaves at \
                    {mirror} what is there. INSTALL.md, Replacing a lost server.",
        at_mirror: "See that the link is there.",
        endangers: false,
    },
    Situation {
        code: "catching_up",
        title: "catching up",
        meaning: "The link works. Records or a recent signed head are still on their way.",
        at_writer: "Nothing.",
        at_mirror: "Nothing.",
        endangers: false,
    },
    Situation {
        code: "nothing_wrong",
        title: "nothing is wrong",
        meaning: "The newest signed heads are recent, and everything below them is held.",
        at_writer: "Nothing.",
        at_mirror: "Nothing.",
        endangers: false,
    },
];
