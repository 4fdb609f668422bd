//! Family and given names as they are common in each member state, in Latin letters and in the country's own
//! script. Combined by chance they make nobody in particular.

/// How a name is put together in its own script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Given name, family name.
    GivenFirst,
    /// Family name, given name.
    FamilyFirst,
    /// The same without a space.
    FamilyFirstJoined,
    /// Two given names without a space, and no family name at all.
    GivenOnlyJoined,
    /// Given name, "son of" or "daughter of", father's name, in Jawi.
    Patronymic,
}

/// A name in Latin letters and in its own script; the second is empty where that is Latin too.
pub(super) type Name = (&'static str, &'static str);

/// The names of one member state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    pub(super) order: Order,
    pub(super) family: [Name; 8],
    pub(super) women: [Name; 5],
    pub(super) men: [Name; 5],
}

/// The names that are common in a member state; Indonesian ones where it is not one of the eleven.
pub(super) fn names_of(member: &str) -> &'static Names {
    match member {
        "MY" => &MALAYSIA,
        "TH" => &THAILAND,
        "SG" => &SINGAPORE,
        "PH" => &PHILIPPINES,
        "VN" => &VIETNAM,
        "KH" => &CAMBODIA,
        "LA" => &LAOS,
        "MM" => &MYANMAR,
        "BN" => &BRUNEI,
        "TL" => &TIMOR_LESTE,
        _ => &INDONESIA,
    }
}

static INDONESIA: Names = Names {
    order: Order::GivenFirst,
    family: [
        ("Wijaya", ""),
        ("Santoso", ""),
        ("Hidayat", ""),
        ("Siregar", ""),
        ("Kusuma", ""),
        ("Setiawan", ""),
        ("Lubis", ""),
        ("Gunawan", ""),
    ],
    women: [("Dewi", ""), ("Sri Rahayu", ""), ("Putri", ""), ("Ayu", ""), ("Ratna", "")],
    men: [("Budi", ""), ("Agus", ""), ("Rizky", ""), ("Bambang", ""), ("Hendra", "")],
};

static MALAYSIA: Names = Names {
    order: Order::Patronymic,
    family: [
        ("Ismail", "اسماعيل"),
        ("Abdullah", "عبدالله"),
        ("Hassan", "حسن"),
        ("Ibrahim", "ابراهيم"),
        ("Yusof", "يوسف"),
        ("Othman", "عثمان"),
        ("Sulaiman", "سليمان"),
        ("Kassim", "قاسم"),
    ],
    women: [
        ("Aminah", "امينه"),
        ("Siti Nur", "سيتي نور"),
        ("Farah", "فرح"),
        ("Noraini", "نورعيني"),
        ("Zainab", "زينب"),
    ],
    men: [("Ahmad", "احمد"), ("Azlan", "ازلن"), ("Faizal", "فيصل"), ("Hafiz", "حافظ"), ("Zulkifli", "ذوالکفل")],
};

static THAILAND: Names = Names {
    order: Order::GivenFirst,
    family: [
        ("Srisuk", "ศรีสุข"),
        ("Wongsa", "วงษา"),
        ("Thongdee", "ทองดี"),
        ("Saetang", "แซ่ตั้ง"),
        ("Boonmee", "บุญมี"),
        ("Phromma", "พรหมมา"),
        ("Khamkaew", "คำแก้ว"),
        ("Suwannarat", "สุวรรณรัตน์"),
    ],
    women: [("Malee", "มาลี"), ("Suda", "สุดา"), ("Kanya", "กัญญา"), ("Pimchanok", "พิมพ์ชนก"), ("Ratree", "ราตรี")],
    men: [("Somchai", "สมชาย"), ("Somsak", "สมศักดิ์"), ("Prasert", "ประเสริฐ"), ("Wichai", "วิชัย"), ("Anan", "อนันต์")],
};

static SINGAPORE: Names = Names {
    order: Order::FamilyFirstJoined,
    family: [
        ("Tan", "陈"),
        ("Lim", "林"),
        ("Lee", "李"),
        ("Ng", "黄"),
        ("Goh", "吴"),
        ("Chua", "蔡"),
        ("Koh", "许"),
        ("Teo", "张"),
    ],
    women: [("Jia Hui", "佳慧"), ("Mei Ling", "美玲"), ("Xiu Ying", "秀英"), ("Li Na", "丽娜"), ("Shu Fen", "淑芬")],
    men: [("Wei Ming", "伟明"), ("Kok Leong", "国良"), ("Zhi Hao", "志豪"), ("Jun Jie", "俊杰"), ("Boon Huat", "文发")],
};

static PHILIPPINES: Names = Names {
    order: Order::GivenFirst,
    family: [
        ("dela Cruz", ""),
        ("Santos", ""),
        ("Reyes", ""),
        ("Bautista", ""),
        ("Villanueva", ""),
        ("Mendoza", ""),
        ("Navarro", ""),
        ("Magsino", ""),
    ],
    women: [("Luzviminda", ""), ("Rosario", ""), ("Marisol", ""), ("Teresita", ""), ("Maria Clara", "")],
    men: [("Juan Miguel", ""), ("Ramon", ""), ("Crisanto", ""), ("Danilo", ""), ("Rodel", "")],
};

static VIETNAM: Names = Names {
    order: Order::FamilyFirst,
    family: [
        ("Nguyen", "Nguyễn"),
        ("Tran", "Trần"),
        ("Le", "Lê"),
        ("Pham", "Phạm"),
        ("Hoang", "Hoàng"),
        ("Vu", "Vũ"),
        ("Dang", "Đặng"),
        ("Bui", "Bùi"),
    ],
    women: [
        ("Thi Lan", "Thị Lan"),
        ("Thu Ha", "Thu Hà"),
        ("Ngoc Mai", "Ngọc Mai"),
        ("Thi Hoa", "Thị Hoa"),
        ("Kim Oanh", "Kim Oanh"),
    ],
    men: [
        ("Van Minh", "Văn Minh"),
        ("Quoc Hung", "Quốc Hưng"),
        ("Duc Anh", "Đức Anh"),
        ("Huu Phuc", "Hữu Phúc"),
        ("Thanh Son", "Thanh Sơn"),
    ],
};

static CAMBODIA: Names = Names {
    order: Order::FamilyFirst,
    family: [
        ("Sok", "សុខ"),
        ("Chea", "ជា"),
        ("Kim", "គឹម"),
        ("Chan", "ចាន់"),
        ("Heng", "ហេង"),
        ("Ly", "លី"),
        ("Mao", "ម៉ៅ"),
        ("Prak", "ប្រាក់"),
    ],
    women: [("Sopheap", "សុភាព"), ("Bopha", "បុប្ផា"), ("Channary", "ចាន់ណារី"), ("Sreymom", "ស្រីមុំ"), ("Kunthea", "គន្ធា")],
    men: [("Dara", "ដារ៉ា"), ("Vuthy", "វុទ្ធី"), ("Sothea", "សុធា"), ("Kosal", "កុសល"), ("Rithy", "រិទ្ធី")],
};

static LAOS: Names = Names {
    order: Order::GivenFirst,
    family: [
        ("Phommachanh", "ພົມມະຈັນ"),
        ("Sayavong", "ໄຊຍະວົງ"),
        ("Keovilay", "ແກ້ວວິໄລ"),
        ("Inthavong", "ອິນທະວົງ"),
        ("Vongsa", "ວົງສາ"),
        ("Souvannavong", "ສຸວັນນະວົງ"),
        ("Chanthavong", "ຈັນທະວົງ"),
        ("Douangdala", "ດວງດາລາ"),
    ],
    women: [("Vilay", "ວິໄລ"), ("Chanthala", "ຈັນທະລາ"), ("Noy", "ນ້ອຍ"), ("Dalavanh", "ດາລາວັນ"), ("Manivanh", "ມະນີວັນ")],
    men: [("Somphone", "ສົມພອນ"), ("Khamla", "ຄຳຫຼ້າ"), ("Bounmy", "ບຸນມີ"), ("Phonesavanh", "ໂພນສະຫວັນ"), ("Souk", "ສຸກ")],
};

static MYANMAR: Names = Names {
    order: Order::GivenOnlyJoined,
    family: [
        ("Htun", "ထွန်း"),
        ("Naing", "နိုင်"),
        ("Lwin", "လွင်"),
        ("Myint", "မြင့်"),
        ("Win", "ဝင်း"),
        ("Hlaing", "လှိုင်"),
        ("Soe", "စိုး"),
        ("Thein", "သိန်း"),
    ],
    women: [("Su", "စု"), ("Thida", "သီတာ"), ("Khin", "ခင်"), ("Hnin", "နှင်း"), ("Nilar", "နီလာ")],
    men: [("Aung", "အောင်"), ("Kyaw", "ကျော်"), ("Min", "မင်း"), ("Zaw", "ဇော်"), ("Htet", "ထက်")],
};

static BRUNEI: Names = Names {
    order: Order::Patronymic,
    family: [
        ("Salleh", "صالح"),
        ("Latif", "لطيف"),
        ("Omar", "عمر"),
        ("Idris", "ادريس"),
        ("Daud", "داود"),
        ("Musa", "موسى"),
        ("Yahya", "يحيى"),
        ("Damit", "دامت"),
    ],
    women: [("Salmah", "سلمى"), ("Khadijah", "خديجه"), ("Nurul", "نورول"), ("Rokiah", "رقيه"), ("Halimah", "حليمه")],
    men: [("Hamzah", "حمزه"), ("Rashid", "رشيد"), ("Khairul", "خيرول"), ("Amin", "امين"), ("Luqman", "لقمان")],
};

static TIMOR_LESTE: Names = Names {
    order: Order::GivenFirst,
    family: [
        ("da Costa", ""),
        ("Soares", ""),
        ("Ximenes", ""),
        ("dos Santos", ""),
        ("Amaral", ""),
        ("Freitas", ""),
        ("Sarmento", ""),
        ("Mendonça", ""),
    ],
    women: [("Maria", ""), ("Filomena", ""), ("Teresa", ""), ("Lurdes", ""), ("Natália", "")],
    men: [("João", ""), ("Domingos", ""), ("Agostinho", ""), ("Mário", ""), ("Abílio", "")],
};
