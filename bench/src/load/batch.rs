//! The requests of one write, kept from one batch to the next: a request whose command stands in its
//! place already is only patched. A batch belongs to one mix; rows of another mean other commands.

use std::ops::Range;

use super::written::Written;
use crate::workload::template::Shape;
use crate::workload::{Mix, Source};

#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    requests: Vec<Request>,
    len: usize,
    /// The keys of the request being made, until it is known whether it is wanted.
    drawn: Vec<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Request {
    row: usize,
    end: usize,
}

impl Batch {
    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    /// Appends the next request of `source`; returns its row and its first key.
    #[inline]
    pub(crate) fn push(
        &mut self,
        mix: &Mix,
        source: &mut Source,
        generation: u8,
        written: Option<&mut Written>,
    ) -> (usize, u64) {
        let row = source.next_row();
        let range = self.place(mix, row);
        let template = &mix.rows[row].template;
        let request = &mut self.bytes[range];
        let key = match written.filter(|_| template.shape() == Shape::WritesValue) {
            None => template.patch(request, &mix.keys, generation, || source.draw(row)),
            Some(written) => template.patch(request, &mix.keys, generation, || {
                let key = source.draw(row);
                written.insert(key);
                key
            }),
        };
        self.len += 1;
        (row, key.unwrap_or(0))
    }

    /// As [`Batch::push`], but keys are drawn until `accepts` says yes to the row and the request: `draws`
    /// times at most, which is what is left of it afterwards. None, and nothing appended, if that was not
    /// enough.
    pub(crate) fn push_accepted(
        &mut self,
        (mix, generation): (&Mix, u8),
        source: &mut Source,
        written: Option<&mut Written>,
        draws: &mut u64,
        accepts: impl Fn(usize, &[u8]) -> bool,
    ) -> Option<(usize, u64)> {
        let row = source.next_row();
        let range = self.place(mix, row);
        let (template, request) = (&mix.rows[row].template, &mut self.bytes[range]);
        let drawn = &mut self.drawn;
        while *draws > 0 {
            *draws -= 1;
            drawn.clear();
            let key = template.patch(request, &mix.keys, generation, || {
                drawn.push(source.draw(row));
                drawn[drawn.len() - 1]
            });
            if accepts(row, request) {
                let written = written.filter(|_| template.shape() == Shape::WritesValue);
                written.into_iter().for_each(|written| drawn.iter().for_each(|key| written.insert(*key)));
                self.len += 1;
                return Some((row, key.unwrap_or(0)));
            }
        }
        None
    }

    /// Appends a request that was sent elsewhere before, all its keys the first it had then.
    pub(crate) fn push_again(&mut self, (mix, generation): (&Mix, u8), row: usize, key: u64) {
        let range = self.place(mix, row);
        mix.rows[row].template.patch(&mut self.bytes[range], &mix.keys, generation, || key);
        self.len += 1;
    }

    /// The requests pushed since the last clear.
    pub(crate) fn bytes(&self) -> &[u8] {
        let end = if self.len == 0 { 0 } else { self.requests[self.len - 1].end };
        &self.bytes[..end]
    }

    fn place(&mut self, mix: &Mix, row: usize) -> Range<usize> {
        let start = if self.len == 0 { 0 } else { self.requests[self.len - 1].end };
        if let Some(request) = self.requests.get(self.len).filter(|request| request.row == row) {
            return start..request.end;
        }
        self.bytes.truncate(start);
        self.requests.truncate(self.len);
        self.bytes.extend_from_slice(mix.rows[row].template.bytes());
        self.requests.push(Request { row, end: self.bytes.len() });
        start..self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{KeySpace, Pattern, Row, Template};

    fn mix(lines: &[(&str, u32)]) -> Mix {
        let keys = KeySpace::new(b"k", 2, 0, 99).unwrap();
        let row = |(line, ratio): &(&str, u32)| Row {
            template: Template::parse(line, &keys, 4).unwrap(),
            ratio: *ratio,
            pattern: Pattern::Sequential,
        };
        Mix { rows: lines.iter().map(row).collect(), keys }
    }

    fn batch_text(batch: &mut Batch, mix: &Mix, source: &mut Source, len: usize) -> String {
        batch.clear();
        (0..len).for_each(|_| {
            batch.push(mix, source, 0, None);
        });
        String::from_utf8(batch.bytes().to_vec()).unwrap()
    }

    #[test]
    fn a_kept_batch_is_what_a_fresh_one_would_be() {
        let mix = mix(&[("GET __key__", 2), ("DEL __key__ other", 1)]);
        let (mut kept, mut source) = (Batch::default(), mix.source(0, 1, 1).unwrap());
        let mut same_source = mix.source(0, 1, 1).unwrap();
        for len in [4, 4, 3, 6, 0, 1] {
            let reused = batch_text(&mut kept, &mix, &mut source, len);
            let fresh = batch_text(&mut Batch::default(), &mix, &mut same_source, len);
            assert_eq!(reused, fresh);
        }
    }

    #[test]
    fn every_request_draws_its_own_key() {
        let mix = mix(&[("GET __key__", 1)]);
        let mut source = mix.source(0, 1, 1).unwrap();
        let text = batch_text(&mut Batch::default(), &mix, &mut source, 2);
        assert_eq!(text, "*2\r\n$3\r\nGET\r\n$3\r\nk00\r\n*2\r\n$3\r\nGET\r\n$3\r\nk01\r\n");
    }

    #[test]
    fn only_accepted_keys_are_sent_and_remembered() {
        let mix = mix(&[("SET __key__ __data__", 1)]);
        let (mut source, mut written) = (mix.source(0, 1, 1).unwrap(), Written::new(0, 100));
        let (mut batch, mut draws) = (Batch::default(), 9);
        let is_3 = |_: usize, request: &[u8]| request.windows(3).any(|part| part == b"k03");
        let pushed = batch.push_accepted((&mix, 1), &mut source, Some(&mut written), &mut draws, is_3);
        assert_eq!((pushed, draws), (Some((0, 3)), 5));
        let pushed = batch.push_accepted((&mix, 1), &mut source, Some(&mut written), &mut draws, is_3);
        assert_eq!((pushed, draws), (None, 0));
        assert!(written.contains(3) && (0..100).filter(|key| written.contains(*key)).count() == 1);
        assert_eq!(batch.bytes().split(|byte| *byte == b'*').count(), 2, "one request and no more");
    }

    #[test]
    fn a_request_is_sent_again_with_its_key() {
        let mix = mix(&[("GET __key__", 1)]);
        let mut batch = Batch::default();
        batch.push_again((&mix, 1), 0, 42);
        assert_eq!(batch.bytes(), b"*2\r\n$3\r\nGET\r\n$3\r\nk42\r\n");
    }

    #[test]
    fn values_written_are_remembered_by_key() {
        let mix = mix(&[("MSET __key__ __data__ __key__ __data__", 1)]);
        let (mut source, mut written) = (mix.source(0, 1, 1).unwrap(), Written::new(0, 100));
        Batch::default().push(&mix, &mut source, 1, Some(&mut written));
        assert!(written.contains(0) && written.contains(1) && !written.contains(2));
    }
}
