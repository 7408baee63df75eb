//! A compiled pattern, and the matches that PostgreSQL would find with it.
//!
//! The crate's match begins where PostgreSQL's does, at the first place where there is one. How far it reaches
//! may differ: the crate takes the way that it tries first, PostgreSQL the longest or the shortest one. Where a
//! pattern leaves a choice, the end is looked for by an automaton that follows all ways at once.

use super::pattern::{Options, Reach, Translated, invalid, translate};
use crate::SqlResult;
use regex::{CaptureLocations, Regex, RegexBuilder};
use regex_automata::hybrid::dfa;
use regex_automata::nfa::thompson::pikevm::{self, PikeVM};
use regex_automata::nfa::thompson::{self, NFA};
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

/// The bytes that a match or one of its groups spans.
pub(super) type Span = (usize, usize);

/// A compiled pattern with room for a match.
pub(super) struct Matcher {
    regex: Regex,
    locations: CaptureLocations,
    extent: Option<Extent>,
    groups: Vec<Option<Span>>,
}

/// What tells how far a match reaches that begins at a given place.
struct Extent {
    reach: Reach,
    /// Fast, and not always able: `None` when the pattern asks what it cannot tell.
    dfa: Option<(dfa::DFA, dfa::Cache)>,
    /// Slow, and able to tell groups too.
    all: PikeVM,
    cache: pikevm::Cache,
    slots: Vec<Option<NonMaxUsize>>,
}

impl Matcher {
    /// Compiles a pattern.
    pub(super) fn new(pattern: &str, options: Options) -> SqlResult<Self> {
        let translated = translate(pattern, options)?;
        let options = translated.options;
        let regex = RegexBuilder::new(&translated.text)
            .case_insensitive(options.ignore_case)
            .dot_matches_new_line(!options.dot_stops)
            .multi_line(options.lines)
            .ignore_whitespace(options.expanded)
            .build()
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => invalid("regular expression is too complex"),
                other => invalid(&reason(&other.to_string())),
            })?;
        let extent = match translated.reach {
            Reach::First => None,
            _ => Some(Extent::new(&translated)?),
        };
        Ok(Self {
            locations: regex.capture_locations(),
            groups: vec![None; regex.captures_len()],
            regex,
            extent,
        })
    }

    /// Whether there is a match anywhere.
    pub(super) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// The first match from a byte on: what it and its groups span.
    pub(super) fn find_at(&mut self, text: &str, at: usize) -> Option<&[Option<Span>]> {
        if self.groups.len() == 1 {
            self.groups[0] = self.regex.find_at(text, at).map(|found| (found.start(), found.end()));
        } else {
            self.regex.captures_read_at(&mut self.locations, text, at)?;
            for (n, group) in self.groups.iter_mut().enumerate() {
                *group = self.locations.get(n);
            }
        }
        let (start, end) = self.groups[0]?;
        if let Some(extent) = &mut self.extent
            && extent.end(text, start) != Some(end)
        {
            extent.captures(text, start, &mut self.groups);
        }
        Some(&self.groups)
    }

    /// Runs with each match from a byte on, until told not to go on. A match may be empty, also right after
    /// another one; the next is looked for a character later then.
    pub(super) fn each(
        &mut self,
        text: &str,
        from: usize,
        mut run: impl FnMut(Span, &[Option<Span>]) -> bool,
    ) {
        let mut at = from;
        while at <= text.len() {
            let Some(groups) = self.find_at(text, at) else { return };
            let Some((start, end)) = groups[0] else { return };
            if !run((start, end), groups) {
                return;
            }
            at = end;
            if start == end {
                at += text[at..].chars().next().map_or(1, char::len_utf8);
            }
        }
    }
}

impl Extent {
    fn new(translated: &Translated) -> SqlResult<Self> {
        let options = translated.options;
        let syntax = syntax::Config::new()
            .case_insensitive(options.ignore_case)
            .dot_matches_new_line(!options.dot_stops)
            .multi_line(options.lines)
            .ignore_whitespace(options.expanded);
        let too_complex = |_| invalid("regular expression is too complex");
        let nfa: NFA =
            thompson::Compiler::new().syntax(syntax).build(&translated.text).map_err(too_complex)?;
        let config = pikevm::Config::new().match_kind(MatchKind::All);
        let all = PikeVM::builder().configure(config).build_from_nfa(nfa.clone()).map_err(too_complex)?;
        let config = dfa::Config::new().match_kind(MatchKind::All).unicode_word_boundary(true);
        let dfa = dfa::Builder::new().configure(config).build_from_nfa(nfa).ok();
        let dfa = dfa.map(|dfa| {
            let cache = dfa.create_cache();
            (dfa, cache)
        });
        let slots = vec![None; all.get_nfa().group_info().slot_len()];
        Ok(Self { reach: translated.reach, dfa, cache: all.create_cache(), all, slots })
    }

    fn input<'t>(&self, text: &'t str, start: usize) -> Input<'t> {
        let earliest = self.reach == Reach::Shortest;
        Input::new(text).range(start..).anchored(Anchored::Yes).earliest(earliest)
    }

    /// Where a match ends that begins at a byte; `None` also when the automaton cannot tell.
    fn end(&mut self, text: &str, start: usize) -> Option<usize> {
        let input = self.input(text, start);
        let (dfa, cache) = self.dfa.as_mut()?;
        dfa.try_search_fwd(cache, &input).ok()?.map(|found| found.offset())
    }

    fn captures(&mut self, text: &str, start: usize, groups: &mut [Option<Span>]) {
        let input = self.input(text, start);
        self.slots.fill(None);
        if self.all.search_slots(&mut self.cache, &input, &mut self.slots).is_none() {
            return;
        }
        for (group, slots) in groups.iter_mut().zip(self.slots.chunks_exact(2)) {
            *group = slots[0].zip(slots[1]).map(|(start, end)| (start.get(), end.get()));
        }
    }
}

/// The reason in a message of several lines.
fn reason(message: &str) -> String {
    message.lines().rev().find_map(|line| line.strip_prefix("error: ")).unwrap_or("syntax error").to_owned()
}
