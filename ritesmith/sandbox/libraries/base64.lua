-- Base64 after RFC 4648: the usual alphabet with padding, and the one for URLs and file names without.

local checks = ...
local byte, char, sub, find, gsub, concat = string.byte, string.char, string.sub, string.find, string.gsub, table.concat

local LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

-- The codes of an alphabet by value, and the values by code.
local function alphabet(letters)
  local codes, values = {}, {}
  for value = 0, 63 do
    local code = byte(letters, value + 1)
    codes[value], values[code] = code, value
  end
  return { codes = codes, values = values }
end

local USUAL = alphabet(LETTERS .. "+/")
local FOR_URLS = alphabet(LETTERS .. "-_")

local function encoded(bytes, codes, padding)
  local parts, n = {}, 0
  local whole = #bytes - #bytes % 3
  for i = 1, whole, 3 do
    local a, b, c = byte(bytes, i, i + 2)
    n = n + 1
    parts[n] = char(codes[a >> 2], codes[(a & 3) << 4 | b >> 4], codes[(b & 15) << 2 | c >> 6], codes[c & 63])
  end
  local a, b = byte(bytes, whole + 1, whole + 2)
  if b then
    parts[n + 1] = char(codes[a >> 2], codes[(a & 3) << 4 | b >> 4], codes[(b & 15) << 2]) .. sub(padding, 1, 1)
  elseif a then
    parts[n + 1] = char(codes[a >> 2], codes[(a & 3) << 4]) .. padding
  end
  return concat(parts)
end

local function decoded(text, values, name, hint)
  if find(text, "%s") then text = gsub(text, "%s+", "") end
  local size = #text
  while size > 0 and byte(text, size) == 61 do size = size - 1 end
  local padding = #text - size
  if size % 4 == 1 or padding > 0 and (padding > 2 or #text % 4 ~= 0) then
    checks.refuse(name, "text has " .. size .. " characters and " .. padding .. " '=' after them, which is no base64")
  end
  local parts, n = {}, 0
  for i = 1, size, 4 do
    local c1, c2, c3, c4 = byte(text, i, i + 3)
    local a, b = values[c1], values[c2]
    local c, d = values[c3] or 0, values[c4] or 0
    if not a or not b or i + 2 <= size and not values[c3] or i + 3 <= size and not values[c4] then
      local last = i + 3 < size and i + 3 or size
      for place = i, last do
        if not values[byte(text, place)] then
          local wrong = sub(text, place, place)
          checks.refuse(name, "text has " .. checks.shown(wrong) .. " at character " .. place
            .. ", which is no base64" .. (find(wrong, hint.signs) and hint.text or ""))
        end
      end
    end
    n = n + 1
    if i + 3 <= size then
      parts[n] = char(a << 2 | b >> 4, (b & 15) << 4 | c >> 2, (c & 3) << 6 | d)
    elseif i + 2 <= size then
      parts[n] = char(a << 2 | b >> 4, (b & 15) << 4 | c >> 2)
    else
      parts[n] = char(a << 2 | b >> 4)
    end
  end
  return concat(parts)
end

local USE_URL = { signs = "[-_]", text = "; for '-' and '_' use base64.decode_url" }
local USE_USUAL = { signs = "[+/]", text = "; for '+' and '/' use base64.decode" }

local library = {}

function library.encode(bytes)
  return encoded(checks.text(bytes, "base64.encode", "bytes"), USUAL.codes, "==")
end

function library.decode(text)
  return decoded(checks.text(text, "base64.decode", "text"), USUAL.values, "base64.decode", USE_URL)
end

function library.encode_url(bytes)
  return encoded(checks.text(bytes, "base64.encode_url", "bytes"), FOR_URLS.codes, "")
end

function library.decode_url(text)
  return decoded(checks.text(text, "base64.decode_url", "text"), FOR_URLS.values, "base64.decode_url", USE_USUAL)
end

return library
