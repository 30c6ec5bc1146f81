-- technique: calls gsub from the callback of gsub; must: limit
function run(input)
  local s = ("a"):rep(1000)
  local function again() return s:gsub("a", again) end
  return s:gsub("a", again)
end
