//! Sharing a secret over GF(2^8): a polynomial for each byte, its value at 0 the secret, a share its value elsewhere.
//! No step depends on a secret in what it reads or in how long it takes.

use std::collections::BTreeMap;

use eads_domain::entropy::Entropy;
use zeroize::Zeroizing;

/// Numbered shares of `secret`, any `threshold` of which give it back.
pub(super) fn split(secret: &[u8; 32], threshold: u8, shares: u8, entropy: &dyn Entropy) -> Vec<(u8, [u8; 32])> {
    let mut coefficients = Zeroizing::new(vec![0; 32 * usize::from(threshold.saturating_sub(1))]);
    entropy.fill(&mut coefficients);
    let at = |x: u8| {
        let mut y = [0; 32];
        // From the highest coefficient down to the secret.
        for row in coefficients.chunks_exact(32).chain([secret.as_slice()]) {
            for (value, coefficient) in y.iter_mut().zip(row) {
                *value = multiply(*value, x) ^ coefficient;
            }
        }
        y
    };
    (1..=shares).map(|x| (x, at(x))).collect()
}

/// The value at 0 of the polynomials through these points.
pub(super) fn join(points: &BTreeMap<u8, [u8; 32]>) -> [u8; 32] {
    let mut secret = [0; 32];
    for (x, y) in points {
        let others = points.keys().filter(|other| *other != x);
        let weight = others.fold(1, |weight, other| multiply(weight, multiply(*other, invert(*other ^ x))));
        for (value, share) in secret.iter_mut().zip(y) {
            *value ^= multiply(*share, weight);
        }
    }
    secret
}

fn multiply(one: u8, other: u8) -> u8 {
    let (mut one, mut product) = (one, 0);
    for bit in 0..8 {
        product ^= one & (other >> bit & 1).wrapping_neg();
        one = one << 1 ^ 0x1b & (one >> 7).wrapping_neg();
    }
    product
}

/// one^254, which is its inverse; 0 for 0.
fn invert(one: u8) -> u8 {
    (0..7)
        .fold((1, one), |(inverse, square), _| {
            let square = multiply(square, square);
            (multiply(inverse, square), square)
        })
        .0
}

#[cfg(test)]
mod tests {
    use eads_domain::entropy::SystemEntropy;

    use super::*;

    #[test]
    fn the_field_is_that_of_aes() {
        // FIPS 197, 4.2.
        assert_eq!(multiply(0x57, 0x83), 0xc1);
        assert_eq!(multiply(0x57, 0x13), 0xfe);
        for one in 1..=255 {
            assert_eq!(multiply(one, invert(one)), 1, "{one}");
        }
    }

    #[test]
    fn every_three_of_five_give_the_secret_and_no_two_do() {
        let secret: [u8; 32] = eads_domain::entropy::random(&SystemEntropy);
        let shares = split(&secret, 3, 5, &SystemEntropy);
        for bits in 0_u8..32 {
            let some: BTreeMap<_, _> = shares.iter().copied().filter(|(x, _)| bits >> (x - 1) & 1 == 1).collect();
            assert_eq!(join(&some) == secret, some.len() >= 3, "{bits:05b}");
        }
    }
}
