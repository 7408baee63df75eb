//! Whole numbers of any length, in base 10^9: what lies beneath a [`super::Numeric`] that is too long
//! for an `i128`. A decimal base makes shifts by powers of ten, rounding and printing cheap, which is
//! most of what decimals do; multiplication and division are the schoolbook's.

use std::cmp::Ordering;

const BASE: u64 = 1_000_000_000;
/// Decimal digits in a limb.
const LIMB_DIGITS: usize = 9;

const POW10: [u32; 10] =
    [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000];

/// A whole number, zero or above. Limbs go from the least; the last one is not zero.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Magnitude(Vec<u32>);

impl Magnitude {
    pub(crate) fn zero() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn one() -> Self {
        Self(vec![1])
    }

    pub(crate) fn from_u128(mut value: u128) -> Self {
        let mut limbs = Vec::with_capacity(5);
        while value != 0 {
            limbs.push((value % u128::from(BASE)) as u32);
            value /= u128::from(BASE);
        }
        Self(limbs)
    }

    /// The value, when it fits.
    pub(crate) fn to_u128(&self) -> Option<u128> {
        if self.0.len() > 5 {
            return None;
        }
        let mut value = 0u128;
        for limb in self.0.iter().rev() {
            value = value.checked_mul(u128::from(BASE))?.checked_add(u128::from(*limb))?;
        }
        Some(value)
    }

    /// From limbs that came from outside: `None` when one is not below the base.
    pub(crate) fn from_limbs(limbs: Vec<u32>) -> Option<Self> {
        if limbs.iter().any(|limb| u64::from(*limb) >= BASE) {
            return None;
        }
        Some(Self(limbs).trimmed())
    }

    pub(crate) fn limbs(&self) -> &[u32] {
        &self.0
    }

    /// From ASCII digits, the most significant first.
    pub(crate) fn from_digits(digits: &[u8]) -> Self {
        let limbs = digits.rchunks(LIMB_DIGITS);
        let limbs =
            limbs.map(|chunk| chunk.iter().fold(0u32, |limb, digit| limb * 10 + u32::from(digit - b'0')));
        Self(limbs.collect()).trimmed()
    }

    fn trimmed(mut self) -> Self {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        self
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of decimal digits; none for zero.
    pub(crate) fn digit_count(&self) -> usize {
        match self.0.last() {
            None => 0,
            Some(top) => (self.0.len() - 1) * LIMB_DIGITS + top.ilog10() as usize + 1,
        }
    }

    /// Number of zeros at the end.
    pub(crate) fn trailing_zeros(&self) -> usize {
        let Some(first) = self.0.iter().position(|limb| *limb != 0) else { return 0 };
        let mut limb = self.0[first];
        let mut zeros = first * LIMB_DIGITS;
        while limb.is_multiple_of(10) {
            limb /= 10;
            zeros += 1;
        }
        zeros
    }

    /// Appends the ASCII digits; nothing for zero.
    pub(crate) fn push_digits(&self, out: &mut Vec<u8>) {
        let Some((top, rest)) = self.0.split_last() else { return };
        out.extend_from_slice(top.to_string().as_bytes());
        for limb in rest.iter().rev() {
            let mut chunk = [b'0'; LIMB_DIGITS];
            let mut left = *limb;
            for digit in chunk.iter_mut().rev() {
                *digit = b'0' + (left % 10) as u8;
                left /= 10;
            }
            out.extend_from_slice(&chunk);
        }
    }

    pub(crate) fn add(&self, other: &Self) -> Self {
        let (long, short) = if self.0.len() >= other.0.len() { (self, other) } else { (other, self) };
        let mut limbs = Vec::with_capacity(long.0.len() + 1);
        let mut carry = 0;
        for (i, limb) in long.0.iter().enumerate() {
            let sum = limb + short.0.get(i).copied().unwrap_or(0) + carry;
            carry = u32::from(u64::from(sum) >= BASE);
            limbs.push(sum - carry * BASE as u32);
        }
        if carry != 0 {
            limbs.push(carry);
        }
        Self(limbs)
    }

    /// The difference; `other` must not be the greater.
    pub(crate) fn sub(&self, other: &Self) -> Self {
        debug_assert!(*self >= *other, "a magnitude has no sign");
        let mut limbs = Vec::with_capacity(self.0.len());
        let mut borrow = 0i64;
        for (i, limb) in self.0.iter().enumerate() {
            let mut left = i64::from(*limb) - i64::from(other.0.get(i).copied().unwrap_or(0)) - borrow;
            borrow = i64::from(left < 0);
            left += borrow * BASE as i64;
            limbs.push(left as u32);
        }
        Self(limbs).trimmed()
    }

    pub(crate) fn mul(&self, other: &Self) -> Self {
        if self.is_zero() || other.is_zero() {
            return Self::zero();
        }
        let mut limbs = vec![0u32; self.0.len() + other.0.len()];
        for (i, a) in self.0.iter().enumerate() {
            let mut carry = 0u64;
            for (j, b) in other.0.iter().enumerate() {
                let sum = u64::from(*a) * u64::from(*b) + u64::from(limbs[i + j]) + carry;
                carry = sum / BASE;
                limbs[i + j] = (sum % BASE) as u32;
            }
            limbs[i + other.0.len()] = carry as u32;
        }
        Self(limbs).trimmed()
    }

    pub(crate) fn mul_small(&self, by: u32) -> Self {
        let mut limbs = Vec::with_capacity(self.0.len() + 1);
        let mut carry = 0u64;
        for limb in &self.0 {
            let sum = u64::from(*limb) * u64::from(by) + carry;
            carry = sum / BASE;
            limbs.push((sum % BASE) as u32);
        }
        while carry != 0 {
            limbs.push((carry % BASE) as u32);
            carry /= BASE;
        }
        Self(limbs).trimmed()
    }

    /// Quotient and remainder by a small number that is not zero.
    pub(crate) fn div_rem_small(&self, by: u32) -> (Self, u32) {
        let mut limbs = vec![0u32; self.0.len()];
        let mut rest = 0u64;
        for (i, limb) in self.0.iter().enumerate().rev() {
            let current = rest * BASE + u64::from(*limb);
            limbs[i] = (current / u64::from(by)) as u32;
            rest = current % u64::from(by);
        }
        (Self(limbs).trimmed(), rest as u32)
    }

    /// Quotient and remainder; the divisor must not be zero.
    pub(crate) fn div_rem(&self, by: &Self) -> (Self, Self) {
        debug_assert!(!by.is_zero(), "callers refuse a division by zero");
        if *self < *by {
            return (Self::zero(), self.clone());
        }
        if let [single] = by.0[..] {
            let (quotient, rest) = self.div_rem_small(single);
            return (quotient, Self(vec![rest]).trimmed());
        }
        // Knuth's algorithm D: scaled so that the divisor's top limb is at least half the base, an
        // estimate of each quotient limb from the top two limbs is at most two too great.
        let scale = (BASE / (u64::from(*by.0.last().expect("not zero")) + 1)) as u32;
        let divisor = by.mul_small(scale).0;
        let mut rest = self.mul_small(scale).0;
        let n = divisor.len();
        rest.resize(rest.len().max(self.0.len()) + 1, 0);
        let steps = rest.len() - n;
        let mut quotient = vec![0u32; steps];
        let (top, second) = (u64::from(divisor[n - 1]), u64::from(divisor[n - 2]));
        for j in (0..steps).rev() {
            let head = u64::from(rest[j + n]) * BASE + u64::from(rest[j + n - 1]);
            let (mut guess, mut left) = (head / top, head % top);
            while guess >= BASE || guess * second > left * BASE + u64::from(rest[j + n - 2]) {
                guess -= 1;
                left += top;
                if left >= BASE {
                    break;
                }
            }
            let (mut borrow, mut carry) = (0i64, 0u64);
            for i in 0..n {
                let product = guess * u64::from(divisor[i]) + carry;
                carry = product / BASE;
                let mut digit = i64::from(rest[i + j]) - (product % BASE) as i64 - borrow;
                borrow = i64::from(digit < 0);
                digit += borrow * BASE as i64;
                rest[i + j] = digit as u32;
            }
            let mut digit = i64::from(rest[j + n]) - carry as i64 - borrow;
            if digit < 0 {
                // One too many after all: give a divisor back.
                guess -= 1;
                let mut carry = 0u64;
                for i in 0..n {
                    let sum = u64::from(rest[i + j]) + u64::from(divisor[i]) + carry;
                    carry = u64::from(sum >= BASE);
                    rest[i + j] = (sum - carry * BASE) as u32;
                }
                digit += carry as i64;
            }
            rest[j + n] = digit as u32;
            quotient[j] = guess as u32;
        }
        rest.truncate(n);
        let (rest, _) = Self(rest).trimmed().div_rem_small(scale);
        (Self(quotient).trimmed(), rest)
    }

    pub(crate) fn mul_pow10(&self, power: usize) -> Self {
        if self.is_zero() || power == 0 {
            return self.clone();
        }
        let scaled = self.mul_small(POW10[power % LIMB_DIGITS]);
        let mut limbs = vec![0; power / LIMB_DIGITS];
        limbs.extend_from_slice(&scaled.0);
        Self(limbs)
    }

    /// Without its last `power` digits.
    pub(crate) fn div_pow10(&self, power: usize) -> Self {
        match self.0.get(power / LIMB_DIGITS..) {
            None => Self::zero(),
            Some(limbs) => Self(limbs.to_vec()).div_rem_small(POW10[power % LIMB_DIGITS]).0,
        }
    }

    /// Without its last `power` digits, rounded half up.
    pub(crate) fn div_pow10_round(&self, power: usize) -> Self {
        if power == 0 {
            return self.clone();
        }
        let (quotient, digit) = self.div_pow10(power - 1).div_rem_small(10);
        if digit >= 5 { quotient.add(&Self::one()) } else { quotient }
    }

    /// The greatest number whose square is not above this.
    pub(crate) fn sqrt(&self) -> Self {
        if self.is_zero() {
            return Self::zero();
        }
        // Start above the root, from the top digits; Newton's steps then fall towards it.
        let even_tail = self.digit_count().saturating_sub(16).next_multiple_of(2);
        let head = self.div_pow10(even_tail).to_u128().expect("at most 16 digits are left");
        let mut root = Self::from_u128((head as f64).sqrt() as u128 + 1).mul_pow10(even_tail / 2);
        loop {
            let next = root.add(&self.div_rem(&root).0).div_rem_small(2).0;
            if next >= root {
                return root;
            }
            root = next;
        }
    }

    /// The first digits, as a fraction: `self = value * 10^exponent` nearly, with `value` in [0.1, 1).
    pub(crate) fn to_fraction(&self) -> (f64, i64) {
        let digits = self.digit_count();
        let head = self.div_pow10(digits.saturating_sub(18)).to_u128().expect("18 digits fit");
        (head as f64 / 10f64.powi(digits.min(18) as i32), digits as i64)
    }
}

impl PartialOrd for Magnitude {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Magnitude {
    fn cmp(&self, other: &Self) -> Ordering {
        let lengths = self.0.len().cmp(&other.0.len());
        lengths.then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn magnitude() -> impl Strategy<Value = Magnitude> {
        let limb = prop_oneof![3 => 0..BASE as u32, 1 => Just(0), 1 => Just(BASE as u32 - 1)];
        proptest::collection::vec(limb, 0..12).prop_map(|limbs| Magnitude(limbs).trimmed())
    }

    proptest! {
        #[test]
        fn division_undoes_multiplication(a in magnitude(), b in magnitude(), c in magnitude()) {
            prop_assume!(!b.is_zero());
            let (quotient, rest) = a.div_rem(&b);
            prop_assert!(rest < b);
            prop_assert_eq!(quotient.mul(&b).add(&rest), a.clone());
            prop_assert_eq!(a.add(&c).sub(&c), a.clone());
            prop_assert_eq!(a.mul(&b), b.mul(&a));
        }

        #[test]
        fn roots_are_the_greatest(a in magnitude()) {
            let root = a.sqrt();
            prop_assert!(root.mul(&root) <= a);
            let next = root.add(&Magnitude::one());
            prop_assert!(next.mul(&next) > a);
        }

        #[test]
        fn digits_give_the_number_back(a in magnitude(), power in 0usize..40) {
            let mut digits = Vec::new();
            a.push_digits(&mut digits);
            prop_assert_eq!(digits.len(), a.digit_count());
            prop_assert_eq!(Magnitude::from_digits(&digits), a.clone());
            prop_assert_eq!(a.mul_pow10(power).div_pow10(power), a.clone());
        }
    }
}
