//! Abbreviations of time zones: `EST`, `MSK`. Most stand for an offset, some for what their zone meant by them
//! at the time in question.

use super::{named, offset_at, offset_of_local, to_utc};
use jiff::tz::TimeZone;

/// What an abbreviation stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Abbreviation {
    /// Seconds east of UTC.
    Fixed(i32),
    /// What the zone called so last, at or before a moment.
    InZone(TimeZone, String),
}

/// Minutes east of UTC, and the abbreviations that always mean them.
const FIXED: &[(i32, &[&str])] = &[
    (-600, &["hst", "taht"]),
    (-570, &["mart"]),
    (-540, &["akst", "gamt"]),
    (-480, &["akdt", "pst"]),
    (-420, &["mst", "pdt"]),
    (-360, &["cst", "galt", "mdt"]),
    (-300, &["act", "cdt", "cot", "est", "pet"]),
    (-240, &["amt", "ast", "bot", "edt"]),
    (-210, &["nft", "nst"]),
    (-180, &["adt", "bra", "brt", "clst", "gft", "pmst", "pyst", "uyt", "wgt"]),
    (-150, &["ndt"]),
    (-120, &["brst", "fnt", "pmdt", "uyst", "wgst"]),
    (-60, &["azot", "egt", "fnst"]),
    (0, &["azost", "egst", "gmt", "uct", "ut", "utc", "wet", "z", "zulu"]),
    (60, &["bst", "cet", "met", "mez", "wat", "wetdst"]),
    (120, &["bdst", "cest", "cetdst", "eet", "ist", "mest", "mesz", "metdst", "sast"]),
    (180, &["eat", "eest", "eetdst", "fet", "idt"]),
    (210, &["irt"]),
    (240, &["msd", "mut", "ret", "sct"]),
    (270, &["aft"]),
    (300, &["must", "mvt", "pkt", "tft", "tjt", "uzt"]),
    (345, &["npt"]),
    (360, &["almt", "bdt", "btt", "kgst", "pkst", "uzst", "xjt", "yekst"]),
    (390, &["mmt"]),
    (420, &["almst", "cxt", "ict", "wast"]),
    (480, &["awst", "bnt", "bort", "cct", "hkt", "myt", "pht", "wadt"]),
    (525, &["acwst"]),
    (540, &["awsst", "jayt", "jst", "kst", "pwt", "ulast", "wdt"]),
    (570, &["acst", "cast"]),
    (600, &["aest", "chut", "ddut", "kdt", "ligt", "mpt", "pgt", "trut", "yapt"]),
    (630, &["acdt", "acsst", "cadt", "lhst", "sadt"]),
    (660, &["aedt", "aesst", "pont", "vut"]),
    (720, &["fjt", "gilt", "mht", "nzst", "nzt", "tvt", "wakt", "wft"]),
    (765, &["chast"]),
    (780, &["fjst", "nzdt", "tot"]),
    (825, &["chadt"]),
];

/// Abbreviations whose meaning changed, and the zone to ask.
const IN_ZONES: &[(&str, &str)] = &[
    ("arst", "America/Argentina/Buenos_Aires"),
    ("art", "America/Argentina/Buenos_Aires"),
    ("pyt", "America/Asuncion"),
    ("vet", "America/Caracas"),
    ("gyt", "America/Guyana"),
    ("clt", "America/Santiago"),
    ("davt", "Antarctica/Davis"),
    ("mawt", "Antarctica/Mawson"),
    ("anast", "Asia/Anadyr"),
    ("anat", "Asia/Anadyr"),
    ("tmt", "Asia/Ashgabat"),
    ("azst", "Asia/Baku"),
    ("azt", "Asia/Baku"),
    ("kgt", "Asia/Bishkek"),
    ("lkt", "Asia/Colombo"),
    ("irkst", "Asia/Irkutsk"),
    ("irkt", "Asia/Irkutsk"),
    ("petst", "Asia/Kamchatka"),
    ("pett", "Asia/Kamchatka"),
    ("krast", "Asia/Krasnoyarsk"),
    ("krat", "Asia/Krasnoyarsk"),
    ("magst", "Asia/Magadan"),
    ("magt", "Asia/Magadan"),
    ("novst", "Asia/Novosibirsk"),
    ("novt", "Asia/Novosibirsk"),
    ("omsst", "Asia/Omsk"),
    ("omst", "Asia/Omsk"),
    ("sgt", "Asia/Singapore"),
    ("gest", "Asia/Tbilisi"),
    ("get", "Asia/Tbilisi"),
    ("ulat", "Asia/Ulaanbaatar"),
    ("vlast", "Asia/Vladivostok"),
    ("vlat", "Asia/Vladivostok"),
    ("yakst", "Asia/Yakutsk"),
    ("yakt", "Asia/Yakutsk"),
    ("yekt", "Asia/Yekaterinburg"),
    ("amst", "Asia/Yerevan"),
    ("fkst", "Atlantic/Stanley"),
    ("fkt", "Atlantic/Stanley"),
    ("lhdt", "Australia/Lord_Howe"),
    ("msk", "Europe/Moscow"),
    ("volt", "Europe/Volgograd"),
    ("iot", "Indian/Chagos"),
    ("easst", "Pacific/Easter"),
    ("east", "Pacific/Easter"),
    ("tkt", "Pacific/Fakaofo"),
    ("lint", "Pacific/Kiritimati"),
    ("kost", "Pacific/Kosrae"),
    ("nut", "Pacific/Niue"),
    ("ckt", "Pacific/Rarotonga"),
];

/// What an abbreviation stands for, whatever its case.
pub fn abbreviation(name: &str) -> Option<Abbreviation> {
    let is_it = |known: &str| known.eq_ignore_ascii_case(name);
    if let Some((minutes, _)) = FIXED.iter().find(|(_, names)| names.iter().any(|known| is_it(known))) {
        return Some(Abbreviation::Fixed(minutes * 60));
    }
    let (_, zone) = IN_ZONES.iter().find(|(known, _)| is_it(known))?;
    Some(Abbreviation::InZone(named(zone)?.0, name.to_ascii_uppercase()))
}

impl Abbreviation {
    /// Seconds east of UTC that it means at a moment.
    pub fn offset_at(&self, micros_utc: i64) -> i32 {
        match self {
            Abbreviation::Fixed(seconds) => *seconds,
            Abbreviation::InZone(zone, name) => {
                meaning_at(micros_utc, zone, name).unwrap_or_else(|| offset_at(micros_utc, zone).0)
            }
        }
    }

    /// Seconds east of UTC that it means beside a local time.
    pub fn offset_of_local(&self, micros_local: i64) -> i32 {
        match self {
            Abbreviation::Fixed(seconds) => *seconds,
            Abbreviation::InZone(zone, name) => meaning_at(to_utc(micros_local, zone), zone, name)
                .unwrap_or_else(|| offset_of_local(micros_local, zone)),
        }
    }
}

/// The offset of the zone's latest period of this name that began by a moment, else of the first after it.
fn meaning_at(micros_utc: i64, zone: &TimeZone, name: &str) -> Option<i32> {
    let (offset, current) = offset_at(micros_utc, zone);
    if current == name {
        return Some(offset);
    }
    let moment = super::unix_timestamp(super::within_calendar(micros_utc));
    let before = zone.preceding(moment).find(|transition| transition.abbreviation() == name);
    // Zones with rules have no last transition: a name that comes back does so within two years.
    let found = before.or_else(|| {
        zone.following(moment).take(MOST_TRANSITIONS).find(|transition| transition.abbreviation() == name)
    })?;
    Some(found.offset().seconds())
}

/// More transitions than any zone's table has.
const MOST_TRANSITIONS: usize = 1_000;
