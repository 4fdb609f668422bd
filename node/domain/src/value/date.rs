//! Dates of which only the year, or the year and month, may be known.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::code::{Code, Coded, Fault};

/// A date of the proleptic Gregorian calendar, `YYYY`, `YYYY-MM` or `YYYY-MM-DD`; years 1000 to 9999.
///
/// Ordered by year, month, day; a date without a part sorts before those with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PartialDate {
    year: u16,
    month: Option<u8>,
    day: Option<u8>,
}

impl PartialDate {
    /// From its parts.
    ///
    /// # Errors
    /// [`InvalidDate`] for a year outside 1000 to 9999, a day without a month, or a day that does not exist.
    pub fn new(year: u16, month: Option<u8>, day: Option<u8>) -> Result<Self, InvalidDate> {
        if !(1000..=9999).contains(&year) {
            return Err(InvalidDate::Year);
        }
        match (month, day) {
            (None, None) => {}
            (None, Some(_)) => return Err(InvalidDate::Form),
            (Some(month), None) if (1..=12).contains(&month) => {}
            (Some(month), Some(day)) if (1..=days_in(year, month)).contains(&day) => {}
            (Some(_), _) => return Err(InvalidDate::NoSuchDay),
        }
        Ok(Self { year, month, day })
    }

    /// The year, 1000 to 9999.
    pub const fn year(self) -> u16 {
        self.year
    }

    /// The month, 1 to 12, if it is known.
    pub const fn month(self) -> Option<u8> {
        self.month
    }

    /// The day of the month, if it is known.
    pub const fn day(self) -> Option<u8> {
        self.day
    }

    /// The last second of a whole date, UTC; none where month or day is not known.
    pub fn last_second(self) -> Option<Timestamp> {
        let part = |value: u8| i8::try_from(value).ok();
        let (month, day) = (part(self.month()?)?, part(self.day()?)?);
        let date = jiff::civil::Date::new(i16::try_from(self.year()).ok()?, month, day).ok()?;
        let end = jiff::tz::TimeZone::UTC.to_timestamp(date.at(23, 59, 59, 0)).ok()?;
        Some(Timestamp::from_unix(end.as_second()))
    }

    /// Whether `other` could be the same day: all parts that both know are equal.
    pub fn is_compatible_with(self, other: Self) -> bool {
        fn agree<T: PartialEq>(a: Option<T>, b: Option<T>) -> bool {
            a.is_none() || b.is_none() || a == b
        }
        self.year == other.year && agree(self.month, other.month) && agree(self.day, other.day)
    }

    pub(super) const fn text_len(self) -> usize {
        match (self.month, self.day) {
            (None, _) => 4,
            (_, None) => 7,
            _ => 10,
        }
    }
}

/// The number of days of a month; 0 for a month that does not exist.
const fn days_in(year: u16, month: u8) -> u8 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 0,
    }
}

impl fmt::Display for PartialDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.year)?;
        if let Some(month) = self.month {
            write!(f, "-{month:02}")?;
        }
        if let Some(day) = self.day {
            write!(f, "-{day:02}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for PartialDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PartialDate {
    type Err = InvalidDate;

    fn from_str(text: &str) -> Result<Self, InvalidDate> {
        let mut parts = text.split('-');
        let year = digits(parts.next(), 4)?.ok_or(InvalidDate::Form)?;
        let month = digits(parts.next(), 2)?;
        let day = digits(parts.next(), 2)?;
        if parts.next().is_some() {
            return Err(InvalidDate::Form);
        }
        let small = |part: Option<u16>| part.map(u8::try_from).transpose().map_err(|_| InvalidDate::Form);
        Self::new(year, small(month)?, small(day)?)
    }
}

/// Exactly `count` ASCII digits, if there is such a part at all.
fn digits(part: Option<&str>, count: usize) -> Result<Option<u16>, InvalidDate> {
    let Some(part) = part else { return Ok(None) };
    if part.len() != count || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(InvalidDate::Form);
    }
    part.parse().map(Some).map_err(|_| InvalidDate::Form)
}

impl TryFrom<String> for PartialDate {
    type Error = InvalidDate;

    fn try_from(text: String) -> Result<Self, InvalidDate> {
        text.parse()
    }
}

impl From<PartialDate> for String {
    fn from(date: PartialDate) -> Self {
        date.to_string()
    }
}

/// Why something is not a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDate {
    /// Not one of the three forms.
    #[error("a date is written YYYY, YYYY-MM or YYYY-MM-DD")]
    Form,
    /// Outside 1000 to 9999.
    #[error("the year of a date lies between 1000 and 9999")]
    Year,
    /// A month or day that the calendar does not have.
    #[error("there is no such day in the calendar")]
    NoSuchDay,
}

impl Coded for InvalidDate {
    fn code(&self) -> Code {
        match self {
            Self::Form => Code::new("DATE_FORM"),
            Self::Year => Code::new("DATE_YEAR"),
            Self::NoSuchDay => Code::new("DATE_NO_SUCH_DAY"),
        }
    }

    fn fault(&self) -> Fault {
        Fault::Caller
    }
}
