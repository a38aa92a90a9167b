//! What holds of the decoder on any bytes. Shared by `tests/replies.rs` and the fuzz target.

use bobbin_proto::decode;

/// Measuring a reply and building it agree; no shorter prefix is a reply, or an error.
pub(crate) fn check_replies(input: &[u8]) {
    let built = decode::decode(input);
    let measured = decode::skip(input);
    assert_eq!(built.as_ref().map(|whole| whole.as_ref().map(|(_, len)| *len)), measured.as_ref().copied());
    if let Ok(Some(len)) = measured {
        for prefix in (0..len).rev().take(64) {
            assert_eq!(decode::skip(&input[..prefix]), Ok(None));
        }
    }
}
