-- A rollout that stopped by itself goes on by a change of this annotation.
local os = require("os")
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["securitybaseline.dev/resume-rollout"] = os.date("!%Y-%m-%dT%XZ")
return obj
