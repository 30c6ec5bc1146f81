--[[ capability
{
  "name": "text.slugify",
  "intent": "make a url slug from a title",
  "description": "Accented Latin letters lose their accents; all else that is no letter or digit separates words.",
  "aliases": ["turn a text into a slug", "url friendly version of a title", "slugify"],
  "input": {
    "type": "object",
    "required": ["text"],
    "properties": {"text": {"type": "string"}},
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["slug"],
    "properties": {
      "slug": {
        "type": "string",
        "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$",
        "description": "lower-case ASCII letters and digits, words joined by one hyphen"
      }
    },
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {"input": {"text": "Hello, World!"}, "output": {"slug": "hello-world"}},
    {"input": {"text": "  Crème brûlée à la carte "}, "output": {"slug": "creme-brulee-a-la-carte"}},
    {"input": {"text": "Straße 42"}, "output": {"slug": "strasse-42"}},
    {"input": {"text": "!?"}, "error": "nothing_left"}
  ]
}
]]
local plain = {
  a = "àáâãåāăą", ae = "äæ", c = "çćĉċč", d = "ďđð", e = "èéêëēĕėęě", g = "ĝğġģ", i = "ìíîïĩīĭį", l = "ĺļľł",
  n = "ñńņň", o = "òóôõøōŏő", oe = "öœ", r = "ŕŗř", s = "śŝşš", ss = "ß", t = "ţťþ", u = "ùúûũūŭůűų", ue = "ü",
  y = "ýÿ", z = "źżž",
}
local upper = {
  a = "ÀÁÂÃÅĀĂĄ", ae = "ÄÆ", c = "ÇĆĈĊČ", d = "ĎĐÐ", e = "ÈÉÊËĒĔĖĘĚ", g = "ĜĞĠĢ", i = "ÌÍÎÏĨĪĬĮİ", l = "ĹĻĽŁ",
  n = "ÑŃŅŇ", o = "ÒÓÔÕØŌŎŐ", oe = "ÖŒ", r = "ŔŖŘ", s = "ŚŜŞŠ", ss = "ẞ", t = "ŢŤÞ", u = "ÙÚÛŨŪŬŮŰŲ", ue = "Ü",
  y = "ÝŸ", z = "ŹŻŽ",
}

local letters = {}
for _, set in ipairs({ plain, upper }) do
  for ascii, accented in pairs(set) do
    for letter in accented:gmatch(utf8.charpattern) do letters[letter] = ascii end
  end
end

function run(input, context)
  local text = input.text:gsub("[\xC2-\xF4][\x80-\xBF]*", function(letter) return letters[letter] or " " end)
  local words = {}
  for word in text:lower():gmatch("[a-z0-9]+") do words[#words + 1] = word end
  if #words == 0 then fail("nothing_left", "the text has no letter and no digit that a slug can keep") end
  return { slug = table.concat(words, "-") }
end
