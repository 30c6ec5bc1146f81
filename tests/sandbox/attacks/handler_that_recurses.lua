-- technique: lets the handler of xpcall call xpcall with itself; must: limit
function run(input)
  local function handler(e) return xpcall(error, handler, e) end
  while true do xpcall(error, handler, 1) end
end
