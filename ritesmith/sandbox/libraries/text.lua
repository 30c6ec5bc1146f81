-- Everyday work on texts, in which nothing is a pattern. Letters are those of ASCII; others stay as they are.

local checks = ...
local byte, sub, find, gmatch, gsub, rep = string.byte, string.sub, string.find, string.gmatch, string.gsub, string.rep
local lower, upper, concat = string.lower, string.upper, table.concat

local WIDTH_MAX = 1000000
local COUNT_MAX = 1 << 53
-- A longer separator costs more as a pattern than it saves.
local LITERAL_BYTES = 16

-- Space, tab, line feed, vertical tab, form feed, carriage return.
local function is_space(code)
  return code == 32 or code and code >= 9 and code <= 13
end

-- Written as loops: a pattern for the end of a text would try at each of its places.
local function first_of(text)
  local first = 1
  while is_space(byte(text, first)) do first = first + 1 end
  return first
end

local function last_of(text, first)
  local last = #text
  while last >= first and is_space(byte(text, last)) do last = last - 1 end
  return last
end

-- Characters, or bytes where the text is not UTF-8.
local function length(text) return utf8.len(text) or #text end

local function parts_of(text, separator, most)
  local parts, n, at = {}, 0, 1
  if #separator <= LITERAL_BYTES then
    for first, after in gmatch(text, "()" .. checks.literal(separator) .. "()") do
      if n + 1 >= most then break end
      n = n + 1
      parts[n] = sub(text, at, first - 1)
      at = after
    end
  else
    while n + 1 < most do
      local first, last = find(text, separator, at, true)
      if not first then break end
      n = n + 1
      parts[n] = sub(text, at, first - 1)
      at = last + 1
    end
  end
  parts[n + 1] = sub(text, at)
  return parts
end

local function padding(text, width, fill, name)
  checks.text(text, name, "text")
  width = checks.whole(width, name, "width", 0, WIDTH_MAX)
  fill = fill == nil and " " or checks.some_text(fill, name, "fill")
  local missing = width - length(text)
  if missing <= 0 then return "" end
  local size = length(fill)
  local full = rep(fill, missing // size)
  if missing % size == 0 then return full end
  local cut = utf8.len(fill) and utf8.offset(fill, missing % size + 1) or missing % size + 1
  return full .. sub(fill, 1, cut - 1)
end

local library = {}

function library.trim(text)
  checks.text(text, "text.trim", "text")
  local first = first_of(text)
  return sub(text, first, last_of(text, first))
end

function library.trim_start(text)
  checks.text(text, "text.trim_start", "text")
  return sub(text, first_of(text))
end

function library.trim_end(text)
  checks.text(text, "text.trim_end", "text")
  return sub(text, 1, last_of(text, 1))
end

function library.split(text, separator, limit)
  checks.text(text, "text.split", "text")
  checks.some_text(separator, "text.split", "separator")
  limit = limit == nil and COUNT_MAX or checks.whole(limit, "text.split", "limit", 1, COUNT_MAX)
  return parts_of(text, separator, limit)
end

function library.lines(text)
  checks.text(text, "text.lines", "text")
  local lines, n, at = {}, 0, 1
  while at <= #text do
    local stop = find(text, "[\r\n]", at) or #text + 1
    n = n + 1
    lines[n] = sub(text, at, stop - 1)
    at = stop + (byte(text, stop) == 13 and byte(text, stop + 1) == 10 and 2 or 1)
  end
  return lines
end

function library.words(text)
  checks.text(text, "text.words", "text")
  local words, n = {}, 0
  for word in gmatch(text, "%S+") do
    n = n + 1
    words[n] = word
  end
  return words
end

function library.starts_with(text, beginning)
  checks.text(text, "text.starts_with", "text")
  checks.text(beginning, "text.starts_with", "beginning")
  return sub(text, 1, #beginning) == beginning
end

function library.ends_with(text, ending)
  checks.text(text, "text.ends_with", "text")
  checks.text(ending, "text.ends_with", "ending")
  return #ending <= #text and sub(text, #text - #ending + 1) == ending
end

function library.contains(text, part)
  checks.text(text, "text.contains", "text")
  checks.text(part, "text.contains", "part")
  return find(text, part, 1, true) ~= nil
end

function library.count(text, part)
  checks.text(text, "text.count", "text")
  checks.some_text(part, "text.count", "part")
  return #parts_of(text, part, COUNT_MAX) - 1
end

function library.replace(text, old, new, limit)
  checks.text(text, "text.replace", "text")
  checks.some_text(old, "text.replace", "old")
  checks.text(new, "text.replace", "new")
  limit = limit == nil and COUNT_MAX or checks.whole(limit, "text.replace", "limit", 0, COUNT_MAX)
  return concat(parts_of(text, old, limit + 1), new)
end

function library.pad_start(text, width, fill)
  return padding(text, width, fill, "text.pad_start") .. text
end

function library.pad_end(text, width, fill)
  return text .. padding(text, width, fill, "text.pad_end")
end

function library.wrap(text, width)
  checks.text(text, "text.wrap", "text")
  width = checks.whole(width, "text.wrap", "width", 1, WIDTH_MAX)
  local lines, line, n, room = {}, {}, 0, width
  for word in gmatch(text, "%S+") do
    local size = length(word)
    if n > 0 and room < size + 1 then
      lines[#lines + 1] = concat(line, " ")
      line, n, room = {}, 0, width
    end
    room = room - size - (n > 0 and 1 or 0)
    n = n + 1
    line[n] = word
  end
  if n > 0 then lines[#lines + 1] = concat(line, " ") end
  return lines
end

function library.upper(text)
  return upper(checks.text(text, "text.upper", "text"))
end

function library.lower(text)
  return lower(checks.text(text, "text.lower", "text"))
end

function library.title(text)
  checks.text(text, "text.title", "text")
  -- A character beyond ASCII and an apostrophe belong to the word.
  return (gsub(text, "[%w\128-\255][%w'\128-\255]*", function(word)
    return upper(sub(word, 1, 1)) .. lower(sub(word, 2))
  end))
end

return library
