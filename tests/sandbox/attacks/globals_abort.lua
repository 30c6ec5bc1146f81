-- technique: makes every look-up of a global raise; must: harmless
function run(input)
  setmetatable(_G, {__index = error, __newindex = error, __metatable = false})
  return nothing_here
end
