//! Mutations of inputs, the same for the same seed.

/// A small generator of numbers (xorshift64*); good enough to choose bytes.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Starts from a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`; 0 if that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        if limit == 0 { 0 } else { (self.number() >> 16) as usize % limit }
    }
}

/// What the text formats are made of.
const TOKENS: &[&[u8]] = &[
    b"\n",
    b"\n\n",
    b" ",
    b"\t",
    b"\r\n",
    b"0",
    b"1",
    b"9007199254740992",
    b"9007199254740993",
    b"18446744073709551616",
    b"-1",
    b"+",
    b"=",
    b"==",
    b"/",
    b"x",
    b"x000/",
    b".p/",
    b".p/0",
    b"256",
    "\u{2014} ".as_bytes(),
    "\u{a0}".as_bytes(),
    b"\x00",
    b"\x7f",
    b"\xff",
    b"old ",
    b"index ",
    b"extra ",
    b"extra \n",
    b"log ",
    b"witness ",
    b"group ",
    b"quorum ",
    b"none",
    b"all",
    b"any",
    b"#",
    b"AAAA",
    b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
    b".e2",
    b"adal.example/log/kz-75",
];

/// Changes an input in one to four places; `others` are inputs to take pieces from.
#[must_use]
pub fn mutate(input: &[u8], others: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        let end = (at + 1 + random.below(24)).min(bytes.len());
        match random.below(9) {
            0 => flip(&mut bytes, random),
            1 => bytes.insert(at, random.number() as u8),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let piece = bytes[at..end].to_vec();
                let to = random.below(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            4 => {
                let token = TOKENS[random.below(TOKENS.len())];
                let over = if random.below(2) == 0 { at } else { end };
                bytes.splice(at..over, token.iter().copied());
            }
            5 => swap_lines(&mut bytes, random),
            6 => bytes.truncate(at),
            7 => {
                let other = &others[random.below(others.len())];
                let from = random.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => digit(&mut bytes, random),
        }
    }
    bytes
}

/// Flips one bit.
fn flip(bytes: &mut [u8], random: &mut Random) {
    let at = random.below(bytes.len());
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << random.below(8);
    }
}

/// Changes one digit or letter to another.
fn digit(bytes: &mut [u8], random: &mut Random) {
    let places: Vec<usize> = bytes
        .iter()
        .enumerate()
        .filter(|(_, b)| b.is_ascii_alphanumeric())
        .map(|(i, _)| i)
        .collect();
    if let Some(at) = places.get(random.below(places.len())) {
        bytes[*at] = b"0123456789ABCXYZabcxyz+/"[random.below(24)];
    }
}

/// Exchanges two lines.
fn swap_lines(bytes: &mut Vec<u8>, random: &mut Random) {
    let mut lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    if lines.len() > 1 {
        let (a, b) = (random.below(lines.len()), random.below(lines.len()));
        lines.swap(a, b);
        *bytes = lines.concat();
    }
}
