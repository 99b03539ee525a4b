// Check is an independent checker of an evidence bundle: a folder of checkpoints, consistency
// proofs, receipts, slips, leaves and tiles that a court's log has exported.
//
//	check DIR POLICY
//
// DIR is the bundle, POLICY the auditor's own copy of the trust policy. It prints one line per
// file, "ok PATH: what" or "REFUSED PATH: why", and a verdict. Exit status: 0 accepted, 1 refused,
// 2 not run.
//
// Signatures are judged by golang.org/x/mod/sumdb/note, trees and proofs by
// golang.org/x/mod/sumdb/tlog; nothing here was written by those who run the log's software except
// this file, and it has no other dependency. The rules are in README.md beside the folder of this
// file.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// maxSize is the largest tree that these logs have: 2^53 leaves.
const maxSize = 1 << 53

// maxProof is the most lines of a proof (c2sp.org/tlog-witness).
const maxProof = 63

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: check DIR POLICY")
		os.Exit(2)
	}
	text, err := os.ReadFile(os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, "read the policy:", err)
		os.Exit(2)
	}
	trust, err := parsePolicy(text)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[2], err)
		os.Exit(2)
	}
	files, err := readFiles(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "read the bundle:", err)
		os.Exit(2)
	}
	b := &bundle{trust: trust, files: files, heads: map[head][]string{}, links: map[head][]head{},
		entered: map[place]tlog.Hash{}, proved: map[place]tlog.Hash{}, endings: map[string]ending{},
		verdicts: map[string]string{}, refusals: map[string]bool{}}
	b.check()
	if !b.print() {
		os.Exit(1)
	}
}

// ---- Policy (c2sp.org/tlog-policy) ----

// A policy is what the auditor trusts.
type policy struct {
	logs      map[string]string   // key text -> origin
	witnesses map[string]string   // name -> key text
	groups    map[string]group    // name -> rule
	quorum    string              // a name, or "none"
	known     []note.Verifier     // every key
	names     map[verifierID]role // what each key is
}

type group struct {
	k       int
	members []string
}

type verifierID struct {
	name string
	hash uint32
}

// A role says what a key of the policy is: the log of an origin, or the witness of a name.
type role struct {
	origin, witness string
}

func parsePolicy(text []byte) (*policy, error) {
	p := &policy{logs: map[string]string{}, witnesses: map[string]string{}, groups: map[string]group{},
		names: map[verifierID]role{}}
	if !bytes.HasSuffix(text, []byte("\n")) {
		return nil, errors.New("the last line has no newline")
	}
	logKeys, witnessKeys, members := map[string]bool{}, map[string]bool{}, map[string]bool{}
	defined := func(name string) bool {
		_, w := p.witnesses[name]
		_, g := p.groups[name]
		return w || g
	}
	free := func(name string) bool { return name != "none" && !defined(name) }
	for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		bad := func(why string) error { return fmt.Errorf("policy line %d: %s", i+1, why) }
		for _, c := range []byte(line) {
			if c != '\t' && c < 0x20 || c == 0x7f {
				return nil, bad("a control character")
			}
		}
		items := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
		if len(items) == 0 || strings.HasPrefix(items[0], "#") {
			continue
		}
		switch n := len(items); {
		case items[0] == "log" && (n == 2 || n == 3):
			v, raw, err := parseKey(items[1], 1)
			if err != nil {
				return nil, bad(err.Error())
			}
			if logKeys[raw] {
				return nil, bad("a duplicate key")
			}
			logKeys[raw] = true
			p.logs[items[1]] = v.Name()
			p.add(v, role{origin: v.Name()})
		case items[0] == "witness" && (n == 3 || n == 4):
			v, raw, err := parseKey(items[2], 4)
			if err != nil {
				return nil, bad(err.Error())
			}
			if witnessKeys[raw] || !free(items[1]) {
				return nil, bad("a duplicate key or name")
			}
			witnessKeys[raw] = true
			p.witnesses[items[1]] = items[2]
			p.add(v, role{witness: items[1]})
		case items[0] == "group" && n >= 4:
			of := items[3:]
			k, ok := map[string]int{"any": 1, "all": len(of)}[items[2]], true
			if k == 0 {
				k, ok = decimal(items[2], len(of))
			}
			if !ok || k < 1 || !free(items[1]) {
				return nil, bad("a threshold or name that is not allowed")
			}
			for _, m := range of {
				if !defined(m) || members[m] {
					return nil, bad("a member that is not defined above, or is a member twice")
				}
				members[m] = true
			}
			sort.Strings(of)
			p.groups[items[1]] = group{k, of}
		case items[0] == "quorum" && n == 2:
			if p.quorum != "" || items[1] != "none" && !defined(items[1]) {
				return nil, bad("a second quorum, or one that is not defined above")
			}
			p.quorum = items[1]
		default:
			return nil, bad("not a line of a policy")
		}
	}
	if p.quorum == "" {
		return nil, errors.New("the policy has no quorum line")
	}
	return p, nil
}

func (p *policy) add(v note.Verifier, r role) {
	p.known = append(p.known, v)
	p.names[verifierID{v.Name(), v.KeyHash()}] = r
}

// met reports whether a witness or group has witnessed.
func (p *policy) met(name string, cosigned map[string]bool) bool {
	if name == "none" || cosigned[name] {
		return true
	}
	g, ok := p.groups[name]
	n := 0
	for _, m := range g.members {
		if p.met(m, cosigned) {
			n++
		}
	}
	return ok && n >= g.k
}

// covers reports whether other says the same about witnesses and lists no further log.
func (p *policy) covers(other *policy) bool {
	for key := range other.logs {
		if _, ok := p.logs[key]; !ok {
			return false
		}
	}
	return fmt.Sprint(p.witnesses, p.groups, p.quorum) ==
		fmt.Sprint(other.witnesses, other.groups, other.quorum)
}

// parseKey reads a verifier key of the wanted signature type: note.NewVerifier for a log's, and a
// verifier of our own for cosignatures (c2sp.org/tlog-cosignature), which that package lacks.
func parseKey(vkey string, want byte) (note.Verifier, string, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, "", errors.New("not a verifier key")
	}
	key, ok := unbase64(parts[2])
	if !ok || len(key) != 33 || key[0] != want || parts[1] != strings.ToLower(parts[1]) {
		return nil, "", fmt.Errorf("not an Ed25519 verifier key of type %d", want)
	}
	if want == 1 {
		v, err := note.NewVerifier(vkey)
		return v, string(key[1:]), err
	}
	sum := sha256.Sum256([]byte(parts[0] + "\n" + string(key)))
	id := binary.BigEndian.Uint32(sum[:4])
	if fmt.Sprintf("%08x", id) != parts[1] || parts[0] == "" {
		return nil, "", errors.New("the key's id is not that of its name and bytes")
	}
	return &cosigner{parts[0], id, ed25519.PublicKey(key[1:])}, string(key[1:]), nil
}

// cosigner verifies Ed25519 cosignatures: a time of eight bytes, and a signature over the time and
// the checkpoint.
type cosigner struct {
	name string
	id   uint32
	key  ed25519.PublicKey
}

func (c *cosigner) Name() string    { return c.name }
func (c *cosigner) KeyHash() uint32 { return c.id }
func (c *cosigner) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	time := binary.BigEndian.Uint64(sig)
	text := fmt.Sprintf("cosignature/v1\ntime %d\n%s", time, msg)
	return time < 1<<63 && ed25519.Verify(c.key, []byte(text), sig[8:])
}

// ---- Notes and checkpoints ----

// A head is what a log signs: its origin, a size and a root.
type head struct {
	origin string
	size   int64
	root   tlog.Hash
}

// A signed head with the names of the witnesses that cosigned it.
type signedHead struct {
	head
	cosigned map[string]bool
}

// openNote checks every signature line of a key that the policy knows, and that the log of the
// origin signed.
func (p *policy) openNote(msg []byte) (*signedHead, error) {
	if len(msg) > 1<<18 {
		return nil, errors.New("the note is too large")
	}
	cut := bytes.LastIndex(msg, []byte("\n\n"))
	if cut < 0 {
		return nil, errors.New("no signatures")
	}
	text, lines := msg[:cut+1], bytes.SplitAfter(msg[cut+2:], []byte("\n"))
	if len(lines[len(lines)-1]) != 0 || len(lines) < 2 {
		return nil, errors.New("the note does not end with a signature line")
	}
	h, err := parseHead(string(text))
	if err != nil {
		return nil, err
	}
	s := &signedHead{h, map[string]bool{}}
	byLog := false
	// One line at a time: note.Open looks at the first line of each key only.
	for i, line := range lines[:len(lines)-1] {
		one := append(append(append([]byte{}, text...), '\n'), line...)
		n, err := note.Open(one, note.VerifierList(p.known...))
		var unknown *note.UnverifiedNoteError
		if errors.As(err, &unknown) {
			n = unknown.Note
		} else if err != nil {
			return nil, fmt.Errorf("signature line %d: %v", i+1, err)
		}
		for _, sig := range append(n.Sigs, n.UnverifiedSigs...) {
			if _, ok := unbase64(sig.Base64); !ok {
				return nil, fmt.Errorf("signature line %d: another spelling of its base64", i+1)
			}
		}
		for _, sig := range n.Sigs {
			r := p.names[verifierID{sig.Name, sig.Hash}]
			byLog = byLog || r.origin == h.origin
			if r.witness != "" {
				s.cosigned[r.witness] = true
			}
		}
	}
	if !byLog {
		return nil, errors.New("no key that the policy lists for this origin signed it")
	}
	return s, nil
}

// parseHead reads the text of a checkpoint: three lines, no extensions.
func parseHead(text string) (head, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[0] == "" || lines[3] != "" {
		return head{}, errors.New("a checkpoint has exactly the lines origin, size and root")
	}
	size, ok := decimal(lines[1], maxSize)
	if !ok {
		return head{}, errors.New("the size is not a decimal number up to 2^53")
	}
	root, ok := hash(lines[2])
	if !ok || size == 0 && root != sha256.Sum256(nil) {
		return head{}, errors.New("the root is not a hash, or not that of the empty tree")
	}
	return head{lines[0], int64(size), root}, nil
}

// ---- The bundle ----

type place struct {
	origin string
	index  int64
}

type bundle struct {
	trust    *policy
	files    map[string][]byte
	heads    map[head][]string   // every signed head and the files that show it
	links    map[head][]head     // proved: the one is a prefix of the other
	complete []head              // heads that the quorum cosigned
	copied   *copied             // what log/ holds, if it is good
	entered  map[place]tlog.Hash // leaf hashes of the entries in log/
	proved   map[place]tlog.Hash // and of what receipts and slips prove
	endings  map[string]ending   // by origin, what its first record says of the epoch before
	verdicts map[string]string
	refusals map[string]bool
}

// ending is the end of an epoch, as the first record of the next one says.
type ending struct {
	epoch, size uint64
	root        tlog.Hash
}

// copied is the head of log/ and its hashes.
type copied struct {
	head
	tlog.HashReader
}

func (b *bundle) ok(path, what string) {
	if !b.refusals[path] {
		b.verdicts[path] = what
	}
}

// refuse records the first reason against a file.
func (b *bundle) refuse(path, why string) {
	if !b.refusals[path] {
		b.refusals[path], b.verdicts[path] = true, why
	}
}

func (b *bundle) check() {
	b.each("", func(path string, text []byte) error {
		if path != "policy" && !known(path) {
			return errors.New("no file of a bundle has this name")
		}
		return nil
	})
	if text, ok := b.files["policy"]; !ok {
		b.refuse("policy", "missing")
	} else if p, err := parsePolicy(text); err != nil {
		b.refuse("policy", err.Error())
	} else if !b.trust.covers(p) {
		b.refuse("policy", "it is not the auditor's policy")
	} else {
		b.ok("policy", "the auditor's")
	}
	b.each("checkpoints/", func(path string, text []byte) error {
		s, err := b.trust.openNote(text)
		if err == nil {
			b.show(path, s)
		}
		return err
	})
	b.tiles()
	b.each("consistency/", b.consistency)
	b.each("receipts/", func(path string, text []byte) error { return b.proof(path, text, true) })
	b.each("slips/", func(path string, text []byte) error { return b.proof(path, text, false) })
	b.each("leaves/", b.leaf)
	b.recomputed()
	b.contradictions()
	b.linked()
}

// each runs a check on every file below a folder.
func (b *bundle) each(folder string, check func(path string, text []byte) error) {
	for _, path := range sorted(b.files) {
		if strings.HasPrefix(path, folder) {
			if err := check(path, b.files[path]); err != nil {
				b.refuse(path, err.Error())
			}
		}
	}
}

func known(path string) bool {
	folder, name, _ := strings.Cut(path, "/")
	switch folder {
	case "checkpoints", "consistency":
		return name != "" && !strings.Contains(name, "/")
	case "receipts", "slips":
		return strings.HasSuffix(name, ".tlog-proof") && !strings.Contains(name, "/")
	case "leaves":
		_, ok := decimal(name, maxSize)
		return ok
	case "log":
		return name == "checkpoint" || strings.HasPrefix(name, "tile/")
	}
	return false
}

// show remembers a head, and whether the quorum cosigned it.
func (b *bundle) show(path string, s *signedHead) bool {
	b.heads[s.head] = append(b.heads[s.head], path)
	met := b.trust.met(b.trust.quorum, s.cosigned)
	if met && !strings.HasPrefix(path, "receipts/") && !strings.HasPrefix(path, "slips/") {
		b.complete = append(b.complete, s.head)
	}
	b.ok(path, fmt.Sprintf("%s, size %d, %d cosignatures, quorum met: %t", s.origin, s.size,
		len(s.cosigned), met))
	return met
}

// consistency checks the body of an add-checkpoint request (c2sp.org/tlog-witness).
func (b *bundle) consistency(path string, text []byte) error {
	first, rest, _ := strings.Cut(string(text), "\n")
	old, ok := decimal(strings.TrimPrefix(first, "old "), maxSize)
	if !ok || !strings.HasPrefix(first, "old ") {
		return errors.New("the first line is not the old size")
	}
	proof, msg, err := proofLines(rest)
	if err != nil {
		return err
	}
	s, err := b.trust.openNote([]byte(msg))
	if err != nil {
		return err
	}
	b.show(path, s)
	if old == 0 {
		if len(proof) != 0 {
			return errors.New("a proof from size 0 has no hashes")
		}
		return nil
	}
	found := false
	for h := range b.heads {
		if h.origin != s.origin || h.size != int64(old) || !b.isCheckpoint(h) {
			continue
		}
		found = true
		if err := tlog.CheckTree(tlog.TreeProof(proof), s.size, s.root, h.size, h.root); err != nil {
			return fmt.Errorf("from size %d to size %d: %v", h.size, s.size, err)
		}
		b.link(h, s.head)
	}
	if !found {
		return fmt.Errorf("no signed checkpoint of size %d of this log is in checkpoints/", old)
	}
	return nil
}

func (b *bundle) isCheckpoint(h head) bool {
	for _, path := range b.heads[h] {
		if strings.HasPrefix(path, "checkpoints/") {
			return true
		}
	}
	return false
}

func (b *bundle) link(x, y head) {
	b.links[x] = append(b.links[x], y)
	b.links[y] = append(b.links[y], x)
}

// proof checks a receipt, or a slip, which needs no cosignature (c2sp.org/tlog-proof).
func (b *bundle) proof(path string, text []byte, receipt bool) error {
	rest := string(text)
	if !strings.HasPrefix(rest, "c2sp.org/tlog-proof@v1\n") {
		return errors.New("not a tlog-proof of version 1")
	}
	line, rest, _ := strings.Cut(rest[strings.Index(rest, "\n")+1:], "\n")
	var extra []byte
	if strings.HasPrefix(line, "extra ") {
		var ok bool
		if extra, ok = unbase64(line[len("extra "):]); !ok || len(extra) == 0 {
			return errors.New("extra is not base64")
		}
		line, rest, _ = strings.Cut(rest, "\n")
	}
	index, ok := decimal(strings.TrimPrefix(line, "index "), maxSize-1)
	if !ok || !strings.HasPrefix(line, "index ") {
		return errors.New("the index is not a decimal number below 2^53")
	}
	path2, msg, err := proofLines(rest)
	if err != nil {
		return err
	}
	s, err := b.trust.openNote([]byte(msg))
	if err != nil {
		return err
	}
	if met := b.show(path, s); receipt && !met {
		return errors.New("the quorum of the policy has not cosigned it")
	}
	at := place{s.origin, int64(index)}
	leaf, have := b.entered[at]
	if extra != nil {
		opened, err := opening(extra, at)
		if err != nil {
			return err
		}
		if have && leaf != opened {
			return errors.New("it opens another entry than the log holds at this index")
		}
		leaf, have = opened, true
	} else if data, ok := b.files[fmt.Sprintf("leaves/%d", index)]; ok && !have {
		leaf, have = tlog.RecordHash(data), true
	}
	if !have {
		return errors.New("no leaf to prove: neither an opening nor leaves/ nor log/ has it")
	}
	if err := tlog.CheckRecord(tlog.RecordProof(path2), s.size, s.root, at.index, leaf); err != nil {
		return fmt.Errorf("entry %d in size %d: %v", index, s.size, err)
	}
	b.proved[at] = leaf
	if extra != nil && at.index == 0 {
		if end, ok, err := endingOf(extra); err != nil {
			return err
		} else if ok {
			b.endings[at.origin] = end
		}
	}
	return nil
}

// endingOf reads log.succeeds, the first record of a later epoch, from an opening that is good:
// protobuf of 1 log, 2 epoch, 3 size, 4 root. It is false if this is another record.
func endingOf(extra []byte) (end ending, ok bool, err error) {
	header, _ := unbase64(strings.TrimPrefix(strings.Split(string(extra), "\n")[2], "header "))
	if binary.BigEndian.Uint32(header[114:]) != 0x0c02 {
		return end, false, nil
	}
	bad := errors.New("the first record of the epoch is malformed")
	log := header[188 : 188+int(header[183])]
	start := append([]byte{0x0a, byte(len(log))}, log...)
	start = append(start, 0x10)
	if int(binary.BigEndian.Uint16(header[6:])) > len(header) {
		return end, false, bad
	}
	body := header[binary.BigEndian.Uint16(header[6:]):]
	if !bytes.HasPrefix(body, start) {
		return end, false, bad
	}
	body = body[len(start):]
	n := 0
	if end.epoch, n = binary.Uvarint(body); n <= 0 {
		return end, false, bad
	}
	if body = body[n:]; len(body) > 0 && body[0] == 0x18 {
		if end.size, n = binary.Uvarint(body[1:]); n <= 0 {
			return end, false, bad
		}
		body = body[1+n:]
	}
	if len(body) != 34 || body[0] != 0x22 || body[1] != 0x20 {
		return end, false, bad
	}
	copy(end.root[:], body[2:])
	return end, true, nil
}

// epochOf is the epoch that an origin names.
func epochOf(origin string) uint64 {
	_, log, _ := strings.Cut(origin, "/log/")
	if _, epoch, ok := strings.Cut(log, ".e"); ok {
		n, _ := decimal(epoch, 1<<32-1)
		return uint64(n)
	}
	return 1
}

// epochs gives, by origin of a later epoch, the last head of the one before, as its first record
// says.
func (b *bundle) epochs() map[string]head {
	origins, ends := map[uint64]string{}, map[string]head{}
	first := uint64(1) << 32
	for h := range b.heads {
		epoch := epochOf(h.origin)
		origins[epoch] = h.origin
		if epoch < first {
			first = epoch
		}
	}
	for epoch, origin := range origins {
		if epoch == 1 {
			continue
		}
		before, have := origins[epoch-1]
		end, ok := b.endings[origin]
		switch path := "checkpoints/ of " + origin; {
		case !ok:
			b.refuse(path, "nothing shows where the epoch before it ended: no receipt opens its entry 0")
		case !have && first < epoch:
			b.refuse(path, "the epoch before it is missing")
		case have && end.epoch != epoch-1:
			b.refuse(path, "it goes on from another epoch")
		case have:
			ends[origin] = head{before, int64(end.size), end.root}
		}
	}
	return ends
}

// last is the size of the largest head of an origin.
func (b *bundle) last(origin string) (size int64) {
	for h := range b.heads {
		if h.origin == origin && h.size > size {
			size = h.size
		}
	}
	return size
}

// shows is whether there is a head of that origin and size.
func (b *bundle) shows(end head) bool {
	for h := range b.heads {
		if h.origin == end.origin && h.size == end.size {
			return true
		}
	}
	return false
}

// opening gives the leaf hash that an opening leads to. The opened record names the log, the epoch
// and the index for which it was written.
func opening(extra []byte, at place) (tlog.Hash, error) {
	lines := strings.Split(string(extra), "\n")
	names := []string{"", "blind ", "header ", "payload ", ""}
	if len(lines) != len(names) || lines[0] != "adal/opening/v1" || lines[4] != "" {
		return tlog.Hash{}, errors.New("extra is not an opening")
	}
	var parts [4][]byte
	for i := 1; i < 4; i++ {
		var ok bool
		if !strings.HasPrefix(lines[i], names[i]) {
			return tlog.Hash{}, errors.New("the opening lacks " + names[i])
		}
		if parts[i], ok = unbase64(lines[i][len(names[i]):]); !ok {
			return tlog.Hash{}, errors.New("the opening's " + names[i] + "is not base64")
		}
	}
	blind, header, payload := parts[1], parts[2], parts[3]
	if len(blind) != 32 || len(payload) != 32 || len(header) < 188 || string(header[:4]) != "ADAL" ||
		len(header) < 188+int(header[183]) {
		return tlog.Hash{}, errors.New("the opening is of no record")
	}
	origin := "/log/" + string(header[188:188+int(header[183])])
	if epoch := binary.BigEndian.Uint32(header[102:]); epoch > 1 {
		origin += fmt.Sprintf(".e%d", epoch)
	}
	if _, name, _ := strings.Cut(at.origin, "/"); origin != "/"+name {
		return tlog.Hash{}, errors.New("the opened record says that it is of another log or epoch")
	}
	if binary.BigEndian.Uint64(header[106:]) != uint64(at.index) {
		return tlog.Hash{}, errors.New("the opened record says that it has another index")
	}
	commit := sha256.Sum256(bytes.Join([][]byte{[]byte("adal/header/v1\n"), blind, header}, nil))
	leaf := fmt.Sprintf("adal/leaf/v1\nseq %d\nheader %s\npayload %s\n", at.index,
		base64.StdEncoding.EncodeToString(commit[:]), base64.StdEncoding.EncodeToString(payload))
	return tlog.RecordHash([]byte(leaf)), nil
}

// leaf checks that an entry is the one that a proof or the tiles of the bundle show.
func (b *bundle) leaf(path string, text []byte) error {
	index, _ := decimal(strings.TrimPrefix(path, "leaves/"), maxSize)
	if err := checkEntry(text, int64(index)); err != nil {
		return err
	}
	for _, leaves := range []map[place]tlog.Hash{b.entered, b.proved} {
		for at, leaf := range leaves {
			if at.index == int64(index) && leaf == tlog.RecordHash(text) {
				b.ok(path, "proved to be in "+at.origin)
				return nil
			}
		}
	}
	return errors.New("no proof and no tile of the bundle shows this entry")
}

// checkEntry checks the form of an entry, which names its own index.
func checkEntry(data []byte, index int64) error {
	lines := strings.Split(string(data), "\n")
	ok := len(lines) == 5 && lines[0] == "adal/leaf/v1" && lines[4] == "" &&
		lines[1] == fmt.Sprintf("seq %d", index) &&
		strings.HasPrefix(lines[2], "header ") && strings.HasPrefix(lines[3], "payload ")
	if ok {
		_, ok1 := hash(strings.TrimPrefix(lines[2], "header "))
		_, ok2 := hash(strings.TrimPrefix(lines[3], "payload "))
		ok = ok1 && ok2
	}
	if !ok {
		return fmt.Errorf("not the entry of index %d", index)
	}
	return nil
}

// contradictions finds two roots for one size.
func (b *bundle) contradictions() {
	for x := range b.heads {
		for y, paths := range b.heads {
			if x.origin == y.origin && x.size == y.size && x.root != y.root {
				for _, path := range paths {
					b.refuse(path, fmt.Sprintf("the log signed another root for size %d too", y.size))
				}
			}
		}
	}
}

// linked demands that every head is proved to belong to the history of the newest complete head of
// its log.
func (b *bundle) linked() {
	newest := map[string]head{}
	for _, h := range b.complete {
		if best, ok := newest[h.origin]; !ok || h.size > best.size {
			newest[h.origin] = h
		}
	}
	reached := map[head]bool{}
	var visit func(h head)
	visit = func(h head) {
		if !reached[h] {
			reached[h] = true
			for _, next := range b.links[h] {
				visit(next)
			}
		}
	}
	for _, h := range newest {
		visit(h)
	}
	// A later epoch that the quorum saw vouches for the end of one that it did not see itself.
	ends := b.epochs()
	for later, end := range ends {
		_, seen := newest[later]
		_, own := newest[end.origin]
		if _, shown := b.heads[end]; seen && !own && shown && b.last(end.origin) == end.size {
			visit(end)
		}
	}
	for later, end := range ends {
		behind := b.last(end.origin) > end.size && !b.shows(end)
		if end.size > 0 && !reached[end] && !behind {
			b.refuse("checkpoints/ of "+later, fmt.Sprintf(
				"it begins after %d entries of the epoch before, not shown so", end.size))
		}
	}
	if len(newest) == 0 {
		b.refuse("checkpoints/", "the bundle has no head that the quorum cosigned")
	}
	for h, paths := range b.heads {
		if h.size == 0 || reached[h] {
			continue
		}
		for _, path := range paths {
			b.refuse(path, fmt.Sprintf("nothing proves size %d to be of one history with the newest "+
				"head that the quorum cosigned", h.size))
		}
	}
}

// ---- Tiles (c2sp.org/tlog-tiles) ----

// tilePath is the path of a tile in the bundle: that of package tlog without the height, and with
// "entries" for "data".
func tilePath(t tlog.Tile) string {
	path := strings.TrimPrefix(t.Path(), "tile/8/")
	if t.L == -1 {
		path = "entries" + strings.TrimPrefix(path, "data")
	}
	return "log/tile/" + path
}

// storedHashes are all hashes of a tree in the order of package tlog.
type storedHashes []tlog.Hash

func (s storedHashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var hashes []tlog.Hash
	for _, i := range indexes {
		if i >= int64(len(s)) {
			return nil, errors.New("a hash beyond the entries")
		}
		hashes = append(hashes, s[i])
	}
	return hashes, nil
}

// tiles checks the whole copy of the log, if there is one. All hashes are computed from the entries:
// each tile must be what they lead to, and so must the signed root. tlog.TileHashReader would not
// do: before x/mod v0.40.0 it let some false tiles pass (CVE-2026-56865).
func (b *bundle) tiles() {
	msg, ok := b.files["log/checkpoint"]
	if !ok {
		b.each("log/", func(string, []byte) error { return errors.New("log/checkpoint is missing") })
		return
	}
	s, err := b.trust.openNote(msg)
	if err != nil {
		b.refuse("log/checkpoint", err.Error())
		return
	}
	b.show("log/checkpoint", s)
	var hashes storedHashes
	for n := int64(0); n<<8 < s.size; n++ {
		width := s.size - n<<8
		if width > 256 {
			width = 256
		}
		tile := tlog.Tile{H: 8, L: -1, N: n, W: int(width)}
		if hashes, err = b.entries(s.origin, tile, hashes); err != nil {
			b.refuse(tilePath(tile), err.Error())
			b.entered = map[place]tlog.Hash{}
			return
		}
		b.ok(tilePath(tile), fmt.Sprintf("%d entries", width))
	}
	want := map[string]bool{"log/checkpoint": true}
	for _, tile := range newestTiles(s.size) {
		path, entries := tilePath(tile), tile
		entries.L = -1
		want[path] = true
		want[tilePath(entries)] = tile.L == 0 || want[tilePath(entries)]
		data, err := tlog.ReadTileData(tile, hashes)
		if have, ok := b.files[path]; !ok {
			err = errors.New("missing")
		} else if err == nil && !bytes.Equal(data, have) {
			err = errors.New("it is not the tile that the entries lead to")
		}
		if err != nil {
			b.refuse(path, err.Error())
			if tile.L == 0 {
				b.refuse(tilePath(entries), "its entries and their tile disagree")
			}
			continue
		}
		b.ok(path, fmt.Sprintf("%d hashes", tile.W))
	}
	b.each("log/", func(path string, _ []byte) error {
		if !want[path] {
			return fmt.Errorf("a tree of size %d has no such tile", s.size)
		}
		return nil
	})
	b.copied = &copied{s.head, hashes}
}

// newestTiles lists the tiles of a tree, of each partial one the widest.
func newestTiles(size int64) []tlog.Tile {
	var tiles []tlog.Tile
	for level := 0; size>>(8*level) > 0; level++ {
		n := size >> (8 * level)
		for i := int64(0); i < n>>8; i++ {
			tiles = append(tiles, tlog.Tile{H: 8, L: level, N: i, W: 256})
		}
		if n&255 != 0 {
			tiles = append(tiles, tlog.Tile{H: 8, L: level, N: n >> 8, W: int(n & 255)})
		}
	}
	return tiles
}

// entries reads one file of entries and appends the hashes that they complete.
func (b *bundle) entries(origin string, tile tlog.Tile, hashes storedHashes) (storedHashes, error) {
	data, ok := b.files[tilePath(tile)]
	if !ok {
		return nil, errors.New("missing")
	}
	for i := 0; i < tile.W; i++ {
		if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
			return nil, fmt.Errorf("cut in entry %d", i)
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		entry := data[2:end]
		data = data[end:]
		index := tile.N<<8 + int64(i)
		if err := checkEntry(entry, index); err != nil {
			return nil, err
		}
		more, err := tlog.StoredHashes(index, entry, hashes)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, more...)
		b.entered[place{origin, index}] = tlog.RecordHash(entry)
	}
	if len(data) != 0 {
		return nil, errors.New("bytes behind the last entry")
	}
	return hashes, nil
}

// recomputed links every signed head up to the size of log/ with it, or refuses it: the entries give
// the root of each size.
func (b *bundle) recomputed() {
	if b.copied == nil {
		return
	}
	for h, paths := range b.heads {
		if h.origin != b.copied.origin || h.size > b.copied.size || h.size == 0 {
			continue
		}
		root, err := tlog.TreeHash(h.size, b.copied)
		if err == nil && root == h.root {
			b.link(h, b.copied.head)
			continue
		}
		for _, path := range paths {
			b.refuse(path, fmt.Sprintf("the entries of log/ give another root for size %d", h.size))
		}
	}
}

// ---- Spellings ----

// unbase64 reads base64 with padding in its only spelling.
func unbase64(text string) ([]byte, bool) {
	data, err := base64.StdEncoding.DecodeString(text)
	return data, err == nil && base64.StdEncoding.EncodeToString(data) == text
}

// hash reads a hash in base64.
func hash(text string) (h tlog.Hash, ok bool) {
	data, ok := unbase64(text)
	copy(h[:], data)
	return h, ok && len(data) == tlog.HashSize
}

// decimal reads a number up to limit in its only spelling.
func decimal(text string, limit int) (int, bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 0 && n <= limit && strconv.Itoa(n) == text
}

// proofLines reads hashes up to an empty line, and gives what follows it.
func proofLines(text string) ([]tlog.Hash, string, error) {
	var proof []tlog.Hash
	for {
		line, rest, found := strings.Cut(text, "\n")
		if text = rest; found && line == "" {
			return proof, text, nil
		}
		h, ok := hash(line)
		if !found || !ok || len(proof) == maxProof {
			return nil, "", fmt.Errorf("line %d of the proof is not a hash, or one too many", len(proof)+1)
		}
		proof = append(proof, h)
	}
}

// ---- Files and verdicts ----

func readFiles(dir string) (map[string][]byte, error) {
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if !entry.Type().IsRegular() {
			return fmt.Errorf("%s is not a plain file", path)
		}
		name, err := filepath.Rel(dir, path)
		if err == nil {
			files[filepath.ToSlash(name)], err = os.ReadFile(path)
		}
		return err
	})
	return files, err
}

func sorted[V any](of map[string]V) []string {
	var keys []string
	for key := range of {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}

// print writes the verdicts and reports whether nothing was refused.
func (b *bundle) print() bool {
	for _, path := range sorted(b.verdicts) {
		word := "ok"
		if b.refusals[path] {
			word = "REFUSED"
		}
		fmt.Printf("%s %s: %s\n", word, path, b.verdicts[path])
	}
	if n := len(b.refusals); n > 0 {
		fmt.Printf("refused: %d of %d files\n", n, len(b.files))
		return false
	}
	fmt.Printf("accepted: %d files\n", len(b.files))
	return true
}
