//! What a completion is about: packed into the 64 bits that the ring hands back.

/// The operation that a completion ends or continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// Another reactor put something in a lane.
    Wake,
    /// The control thread has something to say.
    Control,
    /// A listener, by its place among the listeners.
    Accept(u32),
    /// Sockets, by their seat.
    Recv(u32),
    Send(u32),
    /// The journal's file.
    Write,
    Sync,
    /// The cancellation of something; what it cancelled completes by itself.
    Cancel,
}

const KIND_SHIFT: u32 = 32;

impl Token {
    pub(super) const fn to_bits(self) -> u64 {
        let (kind, index) = match self {
            Self::Wake => (0, 0),
            Self::Control => (1, 0),
            Self::Accept(index) => (2, index),
            Self::Recv(index) => (3, index),
            Self::Send(index) => (4, index),
            Self::Cancel => (5, 0),
            Self::Write => (6, 0),
            Self::Sync => (7, 0),
        };
        kind << KIND_SHIFT | index as u64
    }

    pub(super) const fn from_bits(bits: u64) -> Self {
        let index = bits as u32;
        match bits >> KIND_SHIFT {
            1 => Self::Control,
            2 => Self::Accept(index),
            3 => Self::Recv(index),
            4 => Self::Send(index),
            5 => Self::Cancel,
            6 => Self::Write,
            7 => Self::Sync,
            _ => Self::Wake,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Token;

    #[test]
    fn tokens_survive_the_ring() {
        for token in [
            Token::Wake,
            Token::Control,
            Token::Accept(3),
            Token::Recv(0),
            Token::Recv(u32::MAX),
            Token::Send(7),
            Token::Cancel,
            Token::Write,
            Token::Sync,
        ] {
            assert_eq!(Token::from_bits(token.to_bits()), token);
        }
    }
}
