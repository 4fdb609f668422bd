use super::*;
use crate::entropy::SeededEntropy;

fn members(count: usize) -> Vec<MemberId> {
    let letters = || b'A'..=b'Z';
    letters().flat_map(|a| letters().map(move |b| MemberId::from_bytes([a, b]).unwrap())).take(count).collect()
}

#[test]
fn every_addressee_can_prove_it_and_nobody_else() {
    let entropy = SeededEntropy::new("audience");
    for count in [0, 1, 16, 17, 64, 65, 256] {
        let all = members(count + 1);
        let audience = Audience::build(&all[..count], &entropy).unwrap();
        assert_eq!(audience.openings().count(), count);
        for member in &all[..count] {
            let opening = audience.opening(*member).unwrap();
            assert_eq!(opening.verify(*member, &audience.root()), Ok(()));
            assert_eq!(opening.verify(all[count], &audience.root()), Err(AudienceError::NotAddressed));
            assert_eq!(AudienceOpening::parse(&opening.encode()).as_ref(), Ok(opening));
        }
        assert_eq!(audience.opening(all[count]), None);
    }
}

#[test]
fn the_number_of_leaves_hides_the_number_of_addressees() {
    let entropy = SeededEntropy::new("sizes");
    for (count, size) in [(1, 16), (16, 16), (17, 64), (64, 64), (65, 256), (256, 256)] {
        let audience = Audience::build(&members(count), &entropy).unwrap();
        assert!(audience.openings().all(|(_, opening)| opening.size == size));
    }
}

#[test]
fn too_many_or_repeated_members_are_refused() {
    let entropy = SeededEntropy::new("refused");
    assert_eq!(Audience::build(&members(257), &entropy), Err(AudienceError::TooMany));
    let twice = ["MY", "TH", "MY"].map(|member| member.parse().unwrap());
    assert_eq!(Audience::build(&twice, &entropy), Err(AudienceError::Duplicate(twice[0])));
}

#[test]
fn positions_are_spread_over_all_leaves() {
    let entropy = SeededEntropy::new("positions");
    let member = members(1);
    let mut seen = [0_u32; 16];
    for _ in 0..1600 {
        let audience = Audience::build(&member, &entropy).unwrap();
        seen[usize::try_from(audience.opening(member[0]).unwrap().position).unwrap()] += 1;
    }
    assert!(seen.iter().all(|count| (60..=140).contains(count)), "{seen:?}");
}

#[test]
fn altered_openings_are_refused() {
    let entropy = SeededEntropy::new("altered");
    let member = members(3)[1];
    let audience = Audience::build(&members(3), &entropy).unwrap();
    let good = audience.opening(member).unwrap().clone();
    let refused = |change: &dyn Fn(&mut AudienceOpening)| {
        let mut opening = good.clone();
        change(&mut opening);
        opening.verify(member, &audience.root()).unwrap_err()
    };
    assert_eq!(refused(&|o| o.salt[0] ^= 1), AudienceError::NotAddressed);
    assert_eq!(refused(&|o| o.position ^= 1), AudienceError::NotAddressed);
    assert_eq!(refused(&|o| o.path.swap(0, 1)), AudienceError::NotAddressed);
    assert_eq!(refused(&|o| o.position += 16), AudienceError::Shape);
    assert_eq!(refused(&|o| o.size = 32), AudienceError::Shape);
    assert_eq!(refused(&|o| o.size = 64), AudienceError::Shape);
    assert_eq!(refused(&|o| o.size = 0), AudienceError::Shape);
    assert_eq!(refused(&|o| o.path.truncate(3)), AudienceError::Shape);
    assert_eq!(refused(&|o| o.path.push(Hash::from_bytes([0; 32]))), AudienceError::Shape);
    let bytes = good.encode();
    assert_eq!(AudienceOpening::parse(&bytes[..bytes.len() - 1]), Err(AudienceError::Shape));
    assert_eq!(AudienceOpening::parse(&[bytes.as_slice(), &[0]].concat()), Err(AudienceError::Shape));
}

#[test]
fn an_inner_node_is_no_addressee() {
    // The two leaf hashes under a node, joined, are not a leaf: leaves and nodes are hashed apart.
    assert_ne!(leaf_hash(&[0; 32]), node_hash(&Hash::from_bytes([0; 32]), &Hash::from_bytes([0; 32])));
}
