-- technique: leaves globals and changed libraries for the next call; must: harmless
function run(input)
  leaked_by_attack, _G.leaked = true, true
  pcall(function() string.leaked = true end)
  pcall(rawset, string, "leaked", true)
  pcall(rawset, math, "pi", 3)
  return true
end
