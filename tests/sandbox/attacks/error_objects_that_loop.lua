-- technique: raises objects whose every metamethod loops, to whoever looks at them; must: error
function run(input)
  local function spin() while true do end end
  error(setmetatable({}, {__tostring = spin, __index = spin, __eq = spin, __len = spin, __call = spin, __name = spin,
    __metatable = spin, __concat = spin, __close = spin, __pairs = spin}))
end
