-- technique: asks for a table that tells when memory is collected; must: error
function run(input)
  return setmetatable({}, {__mode = 'k'})
end
