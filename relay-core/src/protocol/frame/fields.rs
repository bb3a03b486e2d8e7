//! The fields of a payload: how each is read and written.

use std::time::Duration;

use super::header::{Kind, Malformed};
use crate::limits::REASON_TEXT_BYTES_MAX;

/// What is left of a payload. Each step either takes whole what it asks for, or says that the frame is too short.
pub(super) struct Reader<'a> {
    pub(super) kind: Kind,
    pub(super) rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(Malformed::Length(self.kind))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(Malformed::Length(self.kind))?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(super) fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(super) fn service(&mut self) -> Result<String, Malformed> {
        let length = usize::from(self.u8()?);
        let name = self.take(length)?;
        let fits = length <= 32
            && name
                .iter()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if !fits {
            return Err(Malformed::Service);
        }
        String::from_utf8(name.to_vec()).map_err(|_| Malformed::Service)
    }

    /// The rest as a text: at most what a sender may send, and whatever it holds, so that it can be shown.
    pub(super) fn text(&mut self) -> String {
        let text = String::from_utf8_lossy(std::mem::take(&mut self.rest));
        whole_characters(&text, REASON_TEXT_BYTES_MAX).to_owned()
    }

    /// `type: u8, length: u16, value` until the end; what a later version adds is passed over.
    pub(super) fn skip_tlvs(&mut self) -> Result<(), Malformed> {
        while !self.rest.is_empty() {
            self.u8()?;
            let length = usize::from(self.u16()?);
            self.take(length)?;
        }
        Ok(())
    }
}

/// The longest start of `text`, of at most `max` bytes, that ends between two characters.
pub(super) fn whole_characters(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len()))
        .rev()
        .find(|&end| text.is_char_boundary(end))
        .unwrap_or(0);
    &text[..end]
}

pub(super) fn encode_reason(code: u8, text: &str, out: &mut Vec<u8>) {
    out.push(code);
    out.extend_from_slice(whole_characters(text, REASON_TEXT_BYTES_MAX).as_bytes());
}

pub(super) fn encode_service(name: &str, out: &mut Vec<u8>) {
    out.push(name.len() as u8);
    out.extend_from_slice(name.as_bytes());
}

pub(super) fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
