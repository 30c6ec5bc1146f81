-- SHA-256 (FIPS 180-4) and HMAC over it (RFC 2104), as lower-case hexadecimal digits.

local checks = ...
local byte, char, sub, rep, format, pack, unpack = string.byte, string.char, string.sub, string.rep, string.format,
  string.pack, string.unpack

local WORDS = ">" .. rep("I4", 16)

-- The first 32 bits of the fractions of the cube roots of the first 64 primes.
local ROUNDS = {
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
}

-- One block of 64 bytes into the state. A word written twice in 64 bits turns into its rotations by plain shifts.
local function mix(state, block, at)
  local w, k = { unpack(WORDS, block, at) }, ROUNDS
  for i = 17, 64 do
    local x, y = w[i - 15], w[i - 2]
    local xx, yy = x | x << 32, y | y << 32
    w[i] = w[i - 16] + (xx >> 7 ~ xx >> 18 ~ x >> 3) + w[i - 7] + (yy >> 17 ~ yy >> 19 ~ y >> 10) & 0xFFFFFFFF
  end
  local a, b, c, d, e, f, g, h = state[1], state[2], state[3], state[4], state[5], state[6], state[7], state[8]
  for i = 1, 64 do
    local aa, ee = a | a << 32, e | e << 32
    local first = h + (ee >> 6 ~ ee >> 11 ~ ee >> 25) + (g ~ e & (f ~ g)) + k[i] + w[i]
    local second = (aa >> 2 ~ aa >> 13 ~ aa >> 22) + (a & b ~ c & (a ~ b))
    h, g, f, e, d, c, b, a = g, f, e, d + first & 0xFFFFFFFF, c, b, a, first + second & 0xFFFFFFFF
  end
  state[1], state[2], state[3], state[4] = state[1] + a & 0xFFFFFFFF, state[2] + b & 0xFFFFFFFF,
    state[3] + c & 0xFFFFFFFF, state[4] + d & 0xFFFFFFFF
  state[5], state[6], state[7], state[8] = state[5] + e & 0xFFFFFFFF, state[6] + f & 0xFFFFFFFF,
    state[7] + g & 0xFFFFFFFF, state[8] + h & 0xFFFFFFFF
end

-- The state after `text`, of which `before` (a whole block, or nothing) is taken first.
local function digest(text, before)
  local state = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 }
  if before then mix(state, before, 1) end
  local whole = #text - #text % 64
  for at = 1, whole, 64 do mix(state, text, at) end
  local rest = sub(text, whole + 1) .. "\x80"
  rest = rest .. rep("\0", (56 - #rest) % 64) .. pack(">I8", (#text + (before and 64 or 0)) * 8)
  for at = 1, #rest, 64 do mix(state, rest, at) end
  return state
end

local function in_hex(state)
  return format("%08x%08x%08x%08x%08x%08x%08x%08x", table.unpack(state))
end

local function in_bytes(state)
  return pack(">I4I4I4I4I4I4I4I4", table.unpack(state))
end

local library = {}

function library.sha256(bytes)
  return in_hex(digest(checks.text(bytes, "hash.sha256", "bytes")))
end

function library.hmac_sha256(key, bytes)
  checks.text(key, "hash.hmac_sha256", "key")
  checks.text(bytes, "hash.hmac_sha256", "bytes")
  if #key > 64 then key = in_bytes(digest(key)) end
  local inner, outer = {}, {}
  for i = 1, 64 do
    local code = byte(key, i) or 0
    inner[i], outer[i] = char(code ~ 0x36), char(code ~ 0x5c)
  end
  local within = in_bytes(digest(bytes, table.concat(inner)))
  return in_hex(digest(within, table.concat(outer)))
end

return library
