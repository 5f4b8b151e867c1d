#include "media/language.h"

#include "base/compiler.h"
#include "base/text.h"
#include <stddef.h>
#include <string.h>

/* Every language of ISO 639-2 that has more than one code: the terminological three letters, the
 * two letters of ISO 639-1, the bibliographic three letters (which Matroska uses) where they
 * differ. All other languages have one code, which stands for itself. */
static const struct language {
    char terminological[4];
    char two_letters[3];
    char bibliographic[4];
} languages[] = {
    {"aar", "aa", ""},    {"abk", "ab", ""},    {"afr", "af", ""},    {"aka", "ak", ""},
    {"amh", "am", ""},    {"ara", "ar", ""},    {"arg", "an", ""},    {"asm", "as", ""},
    {"ava", "av", ""},    {"ave", "ae", ""},    {"aym", "ay", ""},    {"aze", "az", ""},
    {"bak", "ba", ""},    {"bam", "bm", ""},    {"bel", "be", ""},    {"ben", "bn", ""},
    {"bih", "bh", ""},    {"bis", "bi", ""},    {"bod", "bo", "tib"}, {"bos", "bs", ""},
    {"bre", "br", ""},    {"bul", "bg", ""},    {"cat", "ca", ""},    {"ces", "cs", "cze"},
    {"cha", "ch", ""},    {"che", "ce", ""},    {"chu", "cu", ""},    {"chv", "cv", ""},
    {"cor", "kw", ""},    {"cos", "co", ""},    {"cre", "cr", ""},    {"cym", "cy", "wel"},
    {"dan", "da", ""},    {"deu", "de", "ger"}, {"div", "dv", ""},    {"dzo", "dz", ""},
    {"ell", "el", "gre"}, {"eng", "en", ""},    {"epo", "eo", ""},    {"est", "et", ""},
    {"eus", "eu", "baq"}, {"ewe", "ee", ""},    {"fao", "fo", ""},    {"fas", "fa", "per"},
    {"fij", "fj", ""},    {"fin", "fi", ""},    {"fra", "fr", "fre"}, {"fry", "fy", ""},
    {"ful", "ff", ""},    {"gla", "gd", ""},    {"gle", "ga", ""},    {"glg", "gl", ""},
    {"glv", "gv", ""},    {"grn", "gn", ""},    {"guj", "gu", ""},    {"hat", "ht", ""},
    {"hau", "ha", ""},    {"heb", "he", ""},    {"her", "hz", ""},    {"hin", "hi", ""},
    {"hmo", "ho", ""},    {"hrv", "hr", ""},    {"hun", "hu", ""},    {"hye", "hy", "arm"},
    {"ibo", "ig", ""},    {"ido", "io", ""},    {"iii", "ii", ""},    {"iku", "iu", ""},
    {"ile", "ie", ""},    {"ina", "ia", ""},    {"ind", "id", ""},    {"ipk", "ik", ""},
    {"isl", "is", "ice"}, {"ita", "it", ""},    {"jav", "jv", ""},    {"jpn", "ja", ""},
    {"kal", "kl", ""},    {"kan", "kn", ""},    {"kas", "ks", ""},    {"kat", "ka", "geo"},
    {"kau", "kr", ""},    {"kaz", "kk", ""},    {"khm", "km", ""},    {"kik", "ki", ""},
    {"kin", "rw", ""},    {"kir", "ky", ""},    {"kom", "kv", ""},    {"kon", "kg", ""},
    {"kor", "ko", ""},    {"kua", "kj", ""},    {"kur", "ku", ""},    {"lao", "lo", ""},
    {"lat", "la", ""},    {"lav", "lv", ""},    {"lim", "li", ""},    {"lin", "ln", ""},
    {"lit", "lt", ""},    {"ltz", "lb", ""},    {"lub", "lu", ""},    {"lug", "lg", ""},
    {"mah", "mh", ""},    {"mal", "ml", ""},    {"mar", "mr", ""},    {"mkd", "mk", "mac"},
    {"mlg", "mg", ""},    {"mlt", "mt", ""},    {"mon", "mn", ""},    {"mri", "mi", "mao"},
    {"msa", "ms", "may"}, {"mya", "my", "bur"}, {"nau", "na", ""},    {"nav", "nv", ""},
    {"nbl", "nr", ""},    {"nde", "nd", ""},    {"ndo", "ng", ""},    {"nep", "ne", ""},
    {"nld", "nl", "dut"}, {"nno", "nn", ""},    {"nob", "nb", ""},    {"nor", "no", ""},
    {"nya", "ny", ""},    {"oci", "oc", ""},    {"oji", "oj", ""},    {"ori", "or", ""},
    {"orm", "om", ""},    {"oss", "os", ""},    {"pan", "pa", ""},    {"pli", "pi", ""},
    {"pol", "pl", ""},    {"por", "pt", ""},    {"pus", "ps", ""},    {"que", "qu", ""},
    {"roh", "rm", ""},    {"ron", "ro", "rum"}, {"run", "rn", ""},    {"rus", "ru", ""},
    {"sag", "sg", ""},    {"san", "sa", ""},    {"sin", "si", ""},    {"slk", "sk", "slo"},
    {"slv", "sl", ""},    {"sme", "se", ""},    {"smo", "sm", ""},    {"sna", "sn", ""},
    {"snd", "sd", ""},    {"som", "so", ""},    {"sot", "st", ""},    {"spa", "es", ""},
    {"sqi", "sq", "alb"}, {"srd", "sc", ""},    {"srp", "sr", ""},    {"ssw", "ss", ""},
    {"sun", "su", ""},    {"swa", "sw", ""},    {"swe", "sv", ""},    {"tah", "ty", ""},
    {"tam", "ta", ""},    {"tat", "tt", ""},    {"tel", "te", ""},    {"tgk", "tg", ""},
    {"tgl", "tl", ""},    {"tha", "th", ""},    {"tir", "ti", ""},    {"ton", "to", ""},
    {"tsn", "tn", ""},    {"tso", "ts", ""},    {"tuk", "tk", ""},    {"tur", "tr", ""},
    {"twi", "tw", ""},    {"uig", "ug", ""},    {"ukr", "uk", ""},    {"urd", "ur", ""},
    {"uzb", "uz", ""},    {"ven", "ve", ""},    {"vie", "vi", ""},    {"vol", "vo", ""},
    {"wln", "wa", ""},    {"wol", "wo", ""},    {"xho", "xh", ""},    {"yid", "yi", ""},
    {"yor", "yo", ""},    {"zha", "za", ""},    {"zho", "zh", "chi"}, {"zul", "zu", ""},
};

static const struct language *find(const char *code)
{
    for (size_t i = 0; i < ARRAY_COUNT(languages); i++) {
        const struct language *language = &languages[i];
        if (text_equals_ignoring_case(code, language->terminological) ||
            text_equals_ignoring_case(code, language->two_letters) ||
            text_equals_ignoring_case(code, language->bibliographic))
            return language;
    }
    return NULL;
}

bool language_is_equal(const char *a, const char *b)
{
    /* "pt-BR" is Portuguese: what follows the first subtag (RFC 5646) says where, not what. */
    char first_a[16], first_b[16];
    text_copy(first_a, sizeof first_a, a);
    text_copy(first_b, sizeof first_b, b);
    first_a[strcspn(first_a, "-_")] = '\0';
    first_b[strcspn(first_b, "-_")] = '\0';
    if (first_a[0] == '\0' || first_b[0] == '\0')
        return false;
    if (text_equals_ignoring_case(first_a, first_b))
        return true;
    const struct language *language = find(first_a);
    return language != NULL && language == find(first_b);
}
